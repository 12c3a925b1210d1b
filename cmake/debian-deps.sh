#!/bin/sh
# Brings the libraries that Debian 12 lacks, or has too old, into a folder of their own:
#
#   cmake/debian-deps.sh [--xsimd14] PREFIX        then: cmake -DCMAKE_PREFIX_PATH=PREFIX ...
#
#   xsimd >= 13.2 and xtl, which Debian's xsimd package asks for   from the next stable release
#   Catch2 v3                                                      from Debian 12's backports
#
# --xsimd14 (or QUANT_XSIMD=14 in the environment) takes xsimd and xtl from unstable instead.
#
#   cmake/debian-deps.sh --catch2-source PREFIX    then: cmake -DFETCHCONTENT_SOURCE_DIR_CATCH2=PREFIX ...
#
# brings nothing but the source of the same Catch2, for other architectures.
#
#   cmake/debian-deps.sh --bochs PREFIX            then: tests/bochs/run.sh
#
# brings nothing but the emulator Bochs 3 and the C library that it was built for, from the next stable
# release: that of Debian 12 knows neither AVX512-BF16 nor how to add features to a CPU.
#
# The machine's own package sources, lists and installed packages stay as they are: apt runs with
# a private configuration, its packages are unpacked and not installed, and the mirror is the one
# that the machine uses already. A second call finds the stamp of the first and does nothing. The
# prefix appears complete, by one rename, or not at all.
set -eu

die() {
    echo "debian-deps.sh: $*" >&2
    exit 1
}

usage="usage: cmake/debian-deps.sh [--xsimd14 | --catch2-source | --bochs] PREFIX"
source_only=
bochs_only=
xsimd=${QUANT_XSIMD:-13}
prefix=
for argument in "$@"; do
    case $argument in
        --xsimd14) xsimd=14 ;;
        --catch2-source) source_only=yes ;;
        --bochs) bochs_only=yes ;;
        -h | --help) echo "$usage"; exit 0 ;;
        -*) die "unknown option $argument ($usage)" ;;
        *) [ -z "$prefix" ] || die "one prefix, please ($usage)"; prefix=$argument ;;
    esac
done
[ -n "$prefix" ] || die "$usage"

case $xsimd in
    13) xsimd_suite=trixie ;;
    14) xsimd_suite=unstable ;;
    *) die "QUANT_XSIMD is 13 or 14, not '$xsimd'" ;;
esac
catch_suite=bookworm-backports
# Any change of what is fetched changes this line, and with it the prefix is renewed.
packages="libxsimd-dev/$xsimd_suite xtl-dev/$xsimd_suite libcatch2-dev/$catch_suite"
stamp_text="quant-deps 1: libxsimd-dev xtl-dev/$xsimd_suite libcatch2-dev/$catch_suite"
suites="$xsimd_suite $catch_suite"
if [ -n "$bochs_only" ]; then
    suites=trixie
    packages="bochs bochs-term bochsbios libc6 libgcc-s1 libstdc++6"
    stamp_text="quant-deps 1: $packages/$suites"
elif [ -n "$source_only" ]; then
    stamp_text="quant-deps 1: source of catch2/$catch_suite"
    suites=$catch_suite
fi

case $prefix in
    /*) ;;
    *) prefix=$PWD/$prefix ;;
esac
prefix=${prefix%/}
stamp=$prefix/.quant-deps

is_complete() {
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$stamp_text" ]
}
is_complete && exit 0

for tool in apt-get dpkg-deb flock; do
    command -v "$tool" > /dev/null || die "needs $tool, so a Debian system.
Elsewhere install xsimd >= 13.2 and Catch2 v3 by other means, or let CMake fetch them."
done

mkdir -p "$(dirname "$prefix")"
exec 9> "$prefix.lock"
flock 9
is_complete && exit 0 # somebody else was faster
if [ -e "$prefix" ] && [ ! -f "$stamp" ] && [ -n "$(ls -A "$prefix")" ]; then
    die "$prefix exists and was not made by this script; give another folder"
fi

# The mirror that serves this machine's release serves the other suites too.
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
# (Without the option, apt tells nothing before the first `apt-get update` of a new machine.)
site=$(apt-get -o APT::Get::IndexTargets::ReleaseInfo=false indextargets \
    --format '$(SITE) $(RELEASE)' |
    awk -v codename="$codename" '$2 == codename || $2 == "stable" { print $1; exit }')
[ -n "$site" ] || die "apt knows no package source for $codename on this machine"

work=$prefix.partial
log=$work/apt.log
rm -rf "$work"
mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/parts" \
    "$work/debs" "$work/root"
: > "$work/status"

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
signed=
[ ! -f "$keyring" ] || signed=" [signed-by=$keyring]"
kind=deb${source_only:+-src}
for suite in $suites; do
    echo "$kind$signed $site $suite main"
done > "$work/sources.list"

# The paths go into a file because apt splits nothing there, whatever characters they hold.
cat > "$work/apt.conf" << CONF
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "$work/parts";
Dir::Etc::preferences "$work/parts/none";
Dir::Etc::preferencesparts "$work/parts";
Dir::State "$work/state";
Dir::State::lists "$work/state/lists";
Dir::State::status "$work/status";
Dir::Cache "$work/cache";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "3";
CONF
run_apt() {
    APT_CONFIG=$work/apt.conf apt-get -qq "$@" > "$log" 2>&1
}

echo "debian-deps.sh: fetching ${stamp_text#quant-deps 1: }"
run_apt update || {
    cat "$log" >&2
    die "cannot read the package lists of $suites.
This step needs the network once, and a Debian mirror that carries these suites."
}
if [ -n "$source_only" ]; then
    fetch() { run_apt source --download-only "catch2/$catch_suite"; }
else
    fetch() {
        # shellcheck disable=SC2086 # several words
        run_apt download $packages
    }
fi
(cd "$work/debs" && fetch) || {
    cat "$log" >&2
    die "cannot download the packages"
}
if [ -n "$source_only" ]; then
    mkdir "$work/root/usr"
    tar -xf "$work"/debs/catch2_*.orig.tar.* --strip-components=1 -C "$work/root/usr"
else
    for package in "$work"/debs/*.deb; do
        dpkg-deb -x "$package" "$work/root"
    done
fi

# The packages' usr/ is the prefix: CMake looks for PREFIX/lib and PREFIX/share.
echo "$stamp_text" > "$work/root/usr/.quant-deps"
rm -rf "$prefix"
mv "$work/root/usr" "$prefix"
rm -rf "$work"
