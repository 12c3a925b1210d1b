#!/bin/bash
# The tests on other instruction sets and architectures than this machine's, emulated:
#
#   tests/everywhere.sh [--quick | --all] [--part=I/N] [CONFIGURATION...]
#                                       all configurations if none is named
#   tests/everywhere.sh --list          their names
#
# Builds in build/everywhere/CONFIGURATION and prints one line for each: CTest's closing line, the
# time that it took, and the CPU. Tested are number types and primitives, the bytes that must be the
# same everywhere, products and files; with --quick the primitives and one kind of product; with
# --all all test programs but those that compare compilers' optimization, which would take an
# emulator half as long again. With --part=I/N only each N-th type of long lists is tested, of N parts
# the one with number I, from 0: --all --part=0/8 builds every test program in a fraction of the time.
# Output is in build/everywhere/CONFIGURATION.log, and on the terminal if something fails.
# docs/platforms.md tells what passed, and how long it takes.
#
# AVX-512 and AVX-VNNI, which QEMU does not have, are emulated by Bochs (tests/bochs/run.sh), slowly:
# of the usual those that are compiled for each instruction set by tests/run.sh, too, with an eighth of
# the longest lists of types; --all adds nothing.
#
# Needs Debian 12: cross-compilers, QEMU and emscripten come by apt (as root, or with sudo).
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

# name | toolchain (cmake/toolchains; `host` for none, `bochs` for none and that emulator) | flags |
# QEMU_CPU, or Bochs's. The CPUs have what the flags say and nothing newer, so that an instruction too
# many is a crash.
# Without vector registers of its own g++ takes arrays of sixteen apart, for as long as all the rest.
avx2='-mavx2 -mfma -mf16c'
# g++ 12 warns of uninitialized values inside its own AVX-512 headers.
avx512="$avx2 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512cd
    -Wno-uninitialized -Wno-maybe-uninitialized"
avx512=$(tr -s '\n ' ' ' <<< "$avx512")
vbmi_bf16='-mavx512vnni -mavx512ifma -mavx512vbmi -mavx512vbmi2 -mavx512bf16'
configurations="
aarch64         | aarch64 |                                    | cortex-a57
aarch64-dotprod | aarch64 | -march=armv8.2-a+dotprod           | neoverse-n1
aarch64-i8mm    | aarch64 | -march=armv8.2-a+dotprod+i8mm+bf16 | max
s390x           | s390x   | -fno-tree-sra                      | max
riscv64         | riscv64 | -fno-tree-sra                      | rv64
armhf           | armhf   | -fno-tree-sra                      | max
i686            | i686    | -msse2 -mfpmath=sse                | this CPU
wasm            | wasm    | -msimd128 -fexceptions -pthread    | node
x86-sse2        | host    | -march=x86-64                      | qemu64
x86-sse42       | host    | -msse4.2                           | Nehalem
x86-avx2        | host    | $avx2                | Haswell
x86-avxvnni     | bochs   | $avx2 -mavxvnni      | corei7_haswell_4770+avx_vnni
x86-avx512bw    | bochs   | $avx512              | corei7_skylake_x
x86-avx512vnni  | bochs   | $avx512 -mavx512vnni | corei7_skylake_x+avx512vnni
x86-avx512bf16  | bochs   | $avx512 $vbmi_bf16   | corei7_icelake_u+avx512bf16
x86-dispatch    | bochs   |                      | sapphire_rapids-amx-amx_int8-amx_bf16
"

quick=(core_simd.default core_lookup.default elements_simd.default matmul_two_level.default
    gguf_blocks)
representative=("${quick[@]}"
    core core_minifloat.default quantized_bytes.default product_bytes.default
    quantize_symmetric.default matmul_symmetric.default matmul_levels.default gguf packed_file)

field() { # NAME NUMBER
    awk -F' *[|] *' -v name="$1" -v number="$2" '$1 == name { print $number }' \
        <<< "$configurations" | sed 's/ *$//'
}
known=$(awk -F' *[|] *' 'NF > 1 { print $1 }' <<< "$configurations")

selected=("${representative[@]}")
part=
names=()
for word in "$@"; do
    case $word in
        --quick) selected=("${quick[@]}") ;;
        --all) selected=() ;;
        --part=*) part=${word#*=} ;;
        --list) echo "$known"; exit 0 ;;
        *)
            if ! grep -qx -e "$word" <<< "$known"; then
                echo "everywhere.sh: unknown configuration '$word'; there are:" $known >&2
                exit 2
            fi
            names+=("$word")
            ;;
    esac
done
[ ${#names[@]} -gt 0 ] || mapfile -t names <<< "$known"

missing_packages() {
    local name
    command -v cmake > /dev/null || echo cmake
    command -v ninja > /dev/null || echo ninja-build
    command -v g++ > /dev/null || echo g++
    [ -d /usr/include/nlohmann ] || echo nlohmann-json3-dev
    for name in "${names[@]}"; do
        case $(field "$name" 2) in
            aarch64) command -v aarch64-linux-gnu-g++ > /dev/null || echo g++-aarch64-linux-gnu ;;
            s390x) command -v s390x-linux-gnu-g++ > /dev/null || echo g++-s390x-linux-gnu ;;
            riscv64) command -v riscv64-linux-gnu-g++ > /dev/null || echo g++-riscv64-linux-gnu ;;
            armhf) command -v arm-linux-gnueabihf-g++ > /dev/null || echo g++-arm-linux-gnueabihf ;;
            i686) command -v i686-linux-gnu-g++ > /dev/null || echo g++-i686-linux-gnu ;;
        esac
    done
    [[ " ${names[*]} " != *" wasm "* ]] || command -v em++ > /dev/null || echo emscripten
    command -v qemu-x86_64 > /dev/null || echo qemu-user
    command -v python3 > /dev/null || echo python3
}
mapfile -t missing < <(missing_packages)
if [ ${#missing[@]} -gt 0 ]; then
    echo "everywhere.sh: installing ${missing[*]}"
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get -qq update
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq install --no-install-recommends "${missing[@]}" > /dev/null
fi

root=build/everywhere
# Where Debian has the parser that emscripten's optimizer asks node for.
export NODE_PATH=/usr/share/nodejs
mkdir -p "$root"
cmake/debian-deps.sh build/deps

# Headers without anything that is compiled, in a folder that holds no other header of this machine.
headers=$root/headers
if [ ! -e "$headers" ]; then
    rm -rf "$headers.partial"
    mkdir -p "$headers.partial/include" "$headers.partial/share/cmake"
    cp -r build/deps/include/xsimd build/deps/include/xtl /usr/include/nlohmann \
        "$headers.partial/include"
    cp -r build/deps/share/cmake/xsimd build/deps/share/cmake/xtl \
        /usr/share/cmake/nlohmann_json "$headers.partial/share/cmake"
    mv "$headers.partial" "$headers"
fi

# Catch2 from Debian's source package, a few files at a time: a minute less.
build_catch2() { # NAME PREFIX
    [ ! -e "$2/lib/cmake/Catch2" ] || return 0
    cmake/debian-deps.sh --catch2-source "$root/catch2" || return
    cmake -G Ninja -S "$root/catch2" -B "$root/catch2-$1" -DCMAKE_BUILD_TYPE=Release \
        -DCMAKE_TOOLCHAIN_FILE="$source_dir/cmake/toolchains/$(field "$1" 2).cmake" \
        -DCMAKE_CXX_FLAGS="$(field "$1" 3)" -DCMAKE_INSTALL_PREFIX="$2" \
        -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_CXX_STANDARD=20 -DCMAKE_UNITY_BUILD=ON \
        -DCMAKE_UNITY_BUILD_BATCH_SIZE=16 -DCATCH_INSTALL_DOCS=OFF || return
    cmake --build "$root/catch2-$1" --target install
}

configure() { # NAME
    local build=$root/$1 toolchain prefix=$source_dir/build/deps options
    toolchain=$(field "$1" 2)
    # ccache does not know emscripten's compiler.
    [ "$toolchain" != wasm ] || local -x CMAKE_CXX_COMPILER_LAUNCHER=
    if [ "$toolchain" = bochs ]; then
        options=(-DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_EXE_LINKER_FLAGS=-static
            -DQUANT_TEST_PART=0/8)
    elif [ "$toolchain" = host ]; then
        options=(-DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CROSSCOMPILING_EMULATOR=qemu-x86_64)
    else
        prefix=$source_dir/$root/catch2-prefix/$1
        build_catch2 "$1" "$prefix" || return
        options=(-DCMAKE_PREFIX_PATH="$source_dir/$headers;$prefix"
            -DCMAKE_TOOLCHAIN_FILE="$source_dir/cmake/toolchains/$toolchain.cmake")
    fi
    cmake -G Ninja -S . -B "$build" "${options[@]}" -DCMAKE_BUILD_TYPE=Release \
        -DCMAKE_CXX_FLAGS="$(field "$1" 3)" -DQUANT_TEST_ISAS=default -DQUANT_ASSEMBLY_ISAS=none \
        -DQUANT_BUILD_EXAMPLES=OFF -DQUANT_TEST_TIMEOUT=3000 -DQUANT_TEST_PART="$part" \
        "-DQUANT_TEST_SKIP=quantized_bytes_O0.default;quantized_bytes_O3.default"
}

# What one program with kernels for all instruction sets chooses, and computes.
build_and_test_dispatch() { # NAME
    local build=$root/$1
    configure "$1" || return
    cmake --build "$build" --target dispatch_first || return
    if python3 tests/dispatch/check_choice.py "$build/tests/dispatch/dispatch_first" \
        sse2,sse42,avx2,avxvnni,avx512bw,avx512vnni,avx512vnni_vbmi,avx512vnni_vbmi_bf16 \
        tests/bochs/run.sh "$(field "$1" 4)" avx512vnni_vbmi_bf16; then
        echo "100% tests passed, 0 tests failed out of 1"
    else
        echo "0% tests passed, 1 tests failed out of 1"
        return 1
    fi
}

build_and_test() { # NAME
    if [ "$1" = x86-dispatch ]; then
        build_and_test_dispatch "$1"
        return
    fi
    local build=$root/$1 targets=() programs=.
    local selected=("${selected[@]}")
    if [ "$(field "$1" 2)" = bochs ]; then
        [ ${#selected[@]} -gt 0 ] || selected=("${representative[@]}")
        mapfile -t selected < <(printf '%s\n' "${selected[@]}" | grep '[.]default$')
    fi
    # Where there are products of bfloat16.
    [ "$1" != x86-avx512bf16 ] || selected+=(matmul_activations.default)
    configure "$1" || return
    if [ ${#selected[@]} -gt 0 ]; then
        targets=(--target "${selected[@]}")
        programs="^($(IFS='|'; echo "${selected[*]//./[.]}"))\$"
    fi
    cmake --build "$build" "${targets[@]}" || return
    if [ "$(field "$1" 2)" = bochs ]; then
        tests/bochs/run.sh "$(field "$1" 4)" "${selected[@]/#/$build/tests/}"
        return
    fi
    QEMU_CPU=$(field "$1" 4) ctest --test-dir "$build" --output-on-failure --no-tests=error \
        -R "$programs" -LE 'check|compile_fail'
}

failed=0
for name in "${names[@]}"; do
    log=$root/$name.log start=$SECONDS verdict=passed
    if ! (set -e; build_and_test "$name") > "$log" 2>&1; then
        verdict=FAILED
        failed=1
        cat "$log"
    fi
    seconds=$((SECONDS - start))
    closing=$(grep -E '^[0-9]+% tests passed' "$log" | tail -n 1 || true)
    printf '%-16s %s in %d min %02d s: %s (%s)\n' "$name" "$verdict" $((seconds / 60)) \
        $((seconds % 60)) "${closing:-nothing was tested}" "$(field "$name" 4)"
done
exit $failed
