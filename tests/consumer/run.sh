#!/bin/sh
# Builds and runs the four consumers, each outside of this tree: add_subdirectory, FetchContent,
# find_package on an installed prefix, and a Conan package.
#
#   tests/consumer/run.sh [PREFIX]      PREFIX: where xsimd is, if not installed; default: build/deps
#
# CXX chooses the compiler. Conan comes from PyPI into build/conan, once.
set -eu

source_dir=$(CDPATH= cd -- "$(dirname -- "$0")/../.." && pwd)
prefix=$(realpath -m -- "${1:-$source_dir/build/deps}")
conan_dir=$source_dir/build/conan

work=$(mktemp -d)
log=$work/log
finish() {
    status=$?
    [ $status -eq 0 ] || [ ! -s "$log" ] || cat "$log" >&2
    rm -rf "$work"
    exit $status
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

quietly() {
    "$@" > "$log" 2>&1
}

# configure_build_run NAME SOURCE-FOLDER CMAKE-ARGUMENT...
configure_build_run() {
    name=$1
    folder=$2
    shift 2
    rm -rf "$folder/build"
    quietly cmake -S "$folder" -B "$folder/build" -G Ninja -DCMAKE_BUILD_TYPE=Release "$@"
    quietly cmake --build "$folder/build" -j 2
    said=$("$folder/build/consumer")
    echo "consumer $name: $said"
}

# An xsimd that is too old and stands in front of the good one: it must be passed over without
# being loaded, for then its target would be there.
old=$work/old
mkdir -p "$old/lib/cmake/xsimd"
echo 'message(FATAL_ERROR "an xsimd that is too old was loaded")' \
    > "$old/lib/cmake/xsimd/xsimdConfig.cmake"
cat > "$old/lib/cmake/xsimd/xsimdConfigVersion.cmake" << 'VERSION'
set(PACKAGE_VERSION 8.1.0)
if(PACKAGE_FIND_VERSION_MAJOR STREQUAL "8" OR NOT PACKAGE_FIND_VERSION)
    set(PACKAGE_VERSION_COMPATIBLE TRUE)
endif()
VERSION

cp -R "$source_dir/tests/consumer" "$work/consumers"
configure_build_run add_subdirectory "$work/consumers/add_subdirectory" \
    "-DQUANT_SOURCE=$source_dir" "-DCMAKE_PREFIX_PATH=$old;$prefix"
configure_build_run FetchContent "$work/consumers/fetch_content" \
    "-DQUANT_SOURCE=$source_dir" "-DCMAKE_PREFIX_PATH=$prefix"

# The installed package, and its consumer, under a path that is not plain ASCII.
spaced="$work/a päth"
mkdir "$spaced"
cp -R "$source_dir/tests/consumer" "$spaced/consumers"
quietly cmake -S "$source_dir" -B "$spaced/build" -G Ninja "-DCMAKE_PREFIX_PATH=$prefix" \
    -DQUANT_BUILD_TESTS=OFF -DQUANT_BUILD_EXAMPLES=OFF
xsimd_version=$(sed -n 's/^-- quant: xsimd \([0-9.]*\) in .*/\1/p' "$log")
json_dir=$(sed -n 's/^nlohmann_json_DIR:PATH=//p' "$spaced/build/CMakeCache.txt")
json_version=$(sed -n 's/^set(PACKAGE_VERSION "\([0-9.]*\)").*/\1/p' \
    "$json_dir/nlohmann_jsonConfigVersion.cmake")
quietly cmake --install "$spaced/build" --prefix "$spaced/installed"
configure_build_run find_package "$spaced/consumers/find_package" \
    "-DCMAKE_PREFIX_PATH=$spaced/installed;$old;$prefix"
configure_build_run "find_package without threads" "$spaced/consumers/find_package" \
    "-DCMAKE_PREFIX_PATH=$spaced/installed;$old;$prefix" -DWITHOUT=threads

# The JSON library is quant::io's affair: without it the rest works, and who asks for quant::io is told.
configure_build_run "find_package without JSON" "$spaced/consumers/find_package" \
    "-DCMAKE_PREFIX_PATH=$spaced/installed;$old;$prefix" -DWITHOUT=io \
    -DCMAKE_DISABLE_FIND_PACKAGE_nlohmann_json=ON
if cmake -S "$spaced/consumers/find_package" -B "$spaced/consumers/find_package/build-io" -G Ninja \
    "-DCMAKE_PREFIX_PATH=$spaced/installed;$old;$prefix" \
    -DCMAKE_DISABLE_FIND_PACKAGE_nlohmann_json=ON > "$log" 2>&1; then
    echo "find_package(quant COMPONENTS io) succeeds without a JSON library" >&2
    exit 1
fi
tr -s ' \n' '  ' < "$log" | grep -q 'quant::io needs nlohmann_json 3.10 or later' || {
    echo "find_package(quant COMPONENTS io) does not say which JSON library it needs" >&2
    exit 1
}
echo "consumer find_package: a JSON library that is missing is named as the reason"

# Without an xsimd that is new enough the package says so. (A script, and no system folders: what
# the machine has installed does not matter.)
echo 'find_package(quant CONFIG REQUIRED)' > "$spaced/unmet.cmake"
if cmake "-DCMAKE_PREFIX_PATH=$spaced/installed;$old" \
    -DCMAKE_FIND_USE_SYSTEM_ENVIRONMENT_PATH=OFF -P "$spaced/unmet.cmake" > "$log" 2>&1; then
    echo "find_package(quant) succeeds without a suitable xsimd" >&2
    exit 1
fi
# (CMake wraps its messages at spaces.)
tr -s ' \n' '  ' < "$log" | grep -q 'quant needs xsimd from 13.2 to below 15 (seen: 8.1.0 in' || {
    echo "find_package(quant) does not say which xsimd it needs" >&2
    exit 1
}
echo "consumer find_package: an xsimd that is too old is named as the reason"

# Conan. No remote is asked: xsimd and the JSON library are those that CMake found above, by
# platform_requires.
if [ ! -f "$conan_dir/complete" ]; then
    rm -rf "$conan_dir"
    quietly python3 -m venv "$conan_dir"
    quietly "$conan_dir/bin/python" -m pip install --disable-pip-version-check 'conan>=2.0,<3'
    touch "$conan_dir/complete"
fi
export CONAN_HOME="$work/conan-home"
mkdir -p "$work/package/tests"
(cd "$source_dir" && cp -R conanfile.py CMakeLists.txt cmake include LICENSE NOTICE "$work/package")
cp -R "$source_dir/tests/consumer" "$work/package/tests"
quietly "$conan_dir/bin/conan" profile detect
{
    cat "$CONAN_HOME/profiles/default"
    echo "[platform_requires]"
    echo "xsimd/$xsimd_version"
    echo "nlohmann_json/$json_version"
    echo "[conf]"
    echo "tools.cmake.cmaketoolchain:generator=Ninja"
} > "$work/profile"
(
    cd "$work/package"
    CMAKE_PREFIX_PATH=$prefix quietly "$conan_dir/bin/conan" create . \
        --profile:all "$work/profile" --settings compiler.cppstd=20 --no-remote
)
grep '^largest error' "$log" | sed 's/^/consumer Conan: /'
