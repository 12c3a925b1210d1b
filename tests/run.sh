#!/bin/bash
# From a fresh Debian 12 to tested code:
#
#   tests/run.sh [PART...]
#
#   gcc          g++, release: build, tests, benchmarks checked for errors; GGUF's decoders against
#                those of the Python package gguf, which pip brings
#   consumers    the four ways to get the library into another project
#   clang        clang++, with -O1: build, header check, tests, examples
#   sanitizers   clang++ with AddressSanitizer and UndefinedBehaviorSanitizer: build, tests; without
#                the latter's checks of pointers, which make kernels compile four times as long where
#                the former looks at each access, by calls, which compile in three quarters of the time
#   everywhere   AArch64 and s390x (big-endian), emulated: what tests/everywhere.sh --quick tests
#   xsimd14      g++, release, with xsimd 14 instead of 13.2: some tests of what is built on xsimd
#   all          all of these
#
# To save time, g++, clang++ and sanitizers test one fifth each of long lists of types, another one with
# each instruction set; most of what is the same for all instruction sets is left to g++ or sanitizers,
# what reads and writes files to sanitizers, examples to clang++, and instruction sets that are tested by
# few programs to tests/everywhere.sh. `cmake --preset dev` builds all tests and types for one compiler.
#
# Without a word: gcc consumers. Missing packages are installed with apt (as root, or with sudo),
# newer libraries unpacked into build/deps; elsewhere than on Debian, CMake finds or fetches them.
# Each part ends with CTest's closing line and the time that it took; its output is in
# build/log/PART, and on the terminal if something fails. All parts run even if one fails.
set -euo pipefail

source_dir=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cd "$source_dir"
export CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
export CTEST_PARALLEL_LEVEL=${CTEST_PARALLEL_LEVEL:-$CMAKE_BUILD_PARALLEL_LEVEL}
if command -v ccache > /dev/null; then
    export CMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER-ccache}
    # What it asks for where headers are precompiled.
    export CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:-pch_defines,time_macros}
fi

known_parts=(gcc consumers clang sanitizers xsimd14 everywhere)
parts=()
for word in "$@"; do
    if [ "$word" = all ]; then
        parts+=("${known_parts[@]}")
    elif [[ " ${known_parts[*]} " == *" $word "* ]]; then
        parts+=("$word")
    else
        echo "run.sh: unknown part '$word'; there are: ${known_parts[*]} all" >&2
        exit 2
    fi
done
[ ${#parts[@]} -gt 0 ] || parts=(gcc consumers)

wants() { [[ " ${parts[*]} " == *" $1 "* ]]; }

# The packages of this machine's release that are missing, one per line.
missing_packages() {
    command -v g++ > /dev/null || echo g++
    command -v cmake > /dev/null || echo cmake
    command -v ninja > /dev/null || echo ninja-build
    command -v git > /dev/null || echo git
    python3 -c 'import venv, ensurepip' 2> /dev/null || printf '%s\n' python3 python3-venv
    if wants clang || wants sanitizers; then
        command -v clang++ > /dev/null || echo clang
    fi
    if wants sanitizers && ! echo 'int main() {}' |
        clang++ -fsanitize=address,undefined -x c++ - -o /dev/null 2> /dev/null; then
        echo libclang-rt-dev
    fi
    # For programs that choose their instruction set; without it their tests are skipped.
    if [ "$(uname -m)" = x86_64 ] && { wants gcc || wants clang; }; then
        command -v qemu-x86_64 > /dev/null || echo qemu-user
    fi
    local package
    for package in libbenchmark-dev libcli11-dev nlohmann-json3-dev; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' $package 2> /dev/null)" = installed ] ||
            echo $package
    done
}

install_missing_packages() {
    local missing
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -gt 0 ] || return 0
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo > /dev/null; then
            echo "run.sh: missing, and to be installed as root: ${missing[*]}" >&2
            exit 1
        fi
        as_root=(sudo)
    fi
    echo "run.sh: installing ${missing[*]}"
    {
        "${as_root[@]}" apt-get -qq update &&
            "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
                apt-get -qq install --no-install-recommends "${missing[@]}"
    } > build/log/apt 2>&1 || {
        cat build/log/apt >&2
        echo "run.sh: cannot install: ${missing[*]}" >&2
        exit 1
    }
}

mkdir -p build/log
if grep -q '^ID=debian' /etc/os-release 2> /dev/null; then
    install_missing_packages
    cmake/debian-deps.sh build/deps
    ! wants xsimd14 || cmake/debian-deps.sh --xsimd14 build/deps-xsimd14
fi

summaries=()
failed=0

# run_part NAME COMMAND...: all output to the log; the closing line and the time to the terminal.
run_part() {
    local name=$1 log=build/log/$1 start=$SECONDS verdict=passed
    shift
    if ! (set -e; "$@") > "$log" 2>&1; then
        verdict=FAILED
        failed=1
        cat "$log"
    fi
    local seconds=$((SECONDS - start)) closing skipped summary
    closing=$(grep -E '^[0-9]+% tests passed|^all consumers ' "$log" | tail -n 1 ||
        grep -E '^[a-z0-9-]+ +(passed|FAILED) in .*% tests passed' "$log" || true)
    skipped=$(grep -c -E '^[[:space:]]*[0-9]+ - .*\(Skipped\)' "$log" || true)
    printf -v summary '%s %s in %d min %02d s' "$name" "$verdict" \
        $((seconds / 60)) $((seconds % 60))
    [ "$skipped" -eq 0 ] || summary+=", $skipped tests skipped for want of a CPU feature or of data"
    if grep -q '^source .*CPU s' "$log"; then
        summary+=$'\n'$(sed -n '/^source .*CPU s/,/^all within/p' "$log")
    fi
    if grep -q 'gguf_oracle: SKIPPED' "$log"; then
        summary+=$'\n'$(grep 'gguf_oracle: SKIPPED' "$log")
    fi
    summaries+=("${closing:-nothing was tested}"$'\n'"$summary")
    printf '%s\n' "${summaries[-1]}"
}

# build_and_test PRESET [TARGET...]: the TARGETs are built besides all. Each line is a command of
# its own with `|| return`, because `set -e` is off inside of conditions.
build_and_test() {
    local preset=$1 target
    shift
    cmake --preset "$preset" || return
    cmake --build --preset "$preset" || return
    for target in "$@"; do
        cmake --build --preset "$preset" --target "$target" || return
    done
    ctest --preset "$preset"
}

# Says so where pip cannot bring the package.
gcc_part() {
    build_and_test release || return
    sed -n '/^source .*CPU s/,/^all within/p' build/release/Testing/Temporary/LastTest.log
    cmake --build --preset release --target gguf_decode || return
    tests/golden/gguf_oracle.py --install build/oracle build/release/tests/gguf_decode ||
        [ $? -eq 77 ]
}

consumers() {
    tests/consumer/run.sh build/deps || return
    echo "all consumers build and run: add_subdirectory, FetchContent, find_package, Conan"
}

for part in "${parts[@]}"; do
    case $part in
        gcc) run_part gcc gcc_part ;;
        consumers) run_part consumers consumers ;;
        clang) run_part clang build_and_test clang all_verify_interface_header_sets ;;
        sanitizers) run_part sanitizers build_and_test asan-ubsan ;;
        xsimd14) run_part xsimd14 build_and_test xsimd14 ;;
        everywhere) run_part everywhere tests/everywhere.sh --quick aarch64 s390x ;;
    esac
done

if [ ${#parts[@]} -gt 1 ]; then
    printf '%s\n' "" "${summaries[@]}"
fi
exit $failed
