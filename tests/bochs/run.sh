#!/bin/bash
# Runs test programs on an emulated x86 CPU, one with AVX-512 or AVX-VNNI, which QEMU does not have:
#
#   tests/bochs/run.sh MODEL[+FEATURE...][-FEATURE...] PROGRAM...
#   tests/bochs/run.sh -cpu MODEL[+FEATURE...][-FEATURE...] PROGRAM
#
# MODEL is one of Bochs's (bochs -help cpu); FEATUREs are added to it or, after a minus, taken from it.
# Boots Debian's kernel in Bochs, a whole PC, with a file system in memory that holds the statically
# linked programs, once for all of them; half a minute of CPU, then some tens of millions of
# instructions a second. Prints each program's output and whether it passed, and closes as CTest does.
# A program passes if it returns 0; if it returns 4 it was skipped. With -cpu it prints the program's
# output alone, and returns what that returned, as qemu-x86_64 does. Programs see QUANT_MAX_ISA.
#
# Needs Debian 12. Installs what Bochs is linked with, xorriso and isolinux by apt (as root, or with
# sudo); Bochs 3, of the next stable release, and the kernel are unpacked into build/bochs.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
source_dir=$(cd -- "$here/../.." && pwd)
root=$source_dir/build/bochs
timeout=${QUANT_BOCHS_TIMEOUT:-3000}

die() {
    echo "run.sh: $*" >&2
    exit 1
}
alone=
if [ "${1-}" = -cpu ]; then
    alone=yes
    shift
fi
[ $# -ge 2 ] || die "usage: tests/bochs/run.sh [-cpu] MODEL[+FEATURE...][-FEATURE...] PROGRAM..."
cpu=$1
shift
[ -z "$alone" ] || [ $# -eq 1 ] || die "-cpu takes one program"

# The packages of this release that are missing.
missing_packages() {
    local package
    for package in libasound2 libgtk-3-0 libltdl7 libncurses6 libpulse0 libreadline8 libsamplerate0 \
        vgabios xorriso isolinux syslinux-common; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null)" = installed ] ||
            echo "$package"
    done
}

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
install_missing_packages() {
    local missing
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -gt 0 ] || return 0
    echo "run.sh: installing ${missing[*]}" >&2
    "${as_root[@]}" apt-get -qq update >&2
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq install --no-install-recommends "${missing[@]}" > /dev/null
}

# The packages of the kernel for virtual machines, the smallest, and of a shell for it, into the folder.
download_guest() { # FOLDER
    local kernel
    kernel=$(apt-cache depends linux-image-cloud-amd64 |
        awk '$1 == "Depends:" { print $2; exit }') && [ -n "$kernel" ] &&
        (cd "$1" && apt-get -qq download "$kernel" busybox-static)
}

# Unpacked, not installed.
unpack_guest() {
    local guest=$root/guest partial=$root/guest.partial package
    [ ! -e "$guest" ] || return 0
    rm -rf "$partial"
    mkdir -p "$partial"
    if ! download_guest "$partial" > "$root/apt.log" 2>&1; then
        "${as_root[@]}" apt-get -qq update >> "$root/apt.log" 2>&1
        download_guest "$partial" >> "$root/apt.log" 2>&1 || {
            cat "$root/apt.log" >&2
            die "cannot download linux-image-cloud-amd64 and busybox-static"
        }
    fi
    for package in "$partial"/*.deb; do
        dpkg-deb -x "$package" "$partial"
        rm "$package"
    done
    mv "$partial"/boot/vmlinuz* "$partial/vmlinuz"
    [ -x "$partial/bin/busybox" ] || die "busybox-static holds no bin/busybox"
    (cd "$partial" && rm -rf ./boot ./lib ./usr ./etc)
    mv "$partial" "$guest"
}

mkdir -p "$root"
exec 9> "$root/lock"
flock 9
install_missing_packages
"$source_dir/cmake/debian-deps.sh" --bochs "$root/emulator" >&2
unpack_guest
exec 9>&-

work=$(mktemp -d "$root/run.XXXXXX")
trap 'rm -rf "$work"' EXIT

# The file system: init, its shell, the programs, and a list of what to run.
make_initramfs() {
    local files=$work/files program name
    mkdir -p "$files/bin" "$files/dev" "$files/proc" "$files/tmp" "$files/tests"
    cp "$root/guest/bin/busybox" "$files/bin"
    cp "$here/init" "$files"
    chmod +x "$files/init"
    for program in "$@"; do
        name=$(basename "$program")
        strip -o "$files/tests/$name" "$program"
        echo "$name" >> "$files/tests/list"
    done
    [ -z "${QUANT_MAX_ISA-}" ] ||
        echo "export QUANT_MAX_ISA='$QUANT_MAX_ISA'" > "$files/tests/environment"
    (cd "$files" && find . | bin/busybox cpio -o -H newc -R 0:0 2> /dev/null | gzip -1) \
        > "$work/iso/initrd.gz"
}

# lpj spares the kernel to measure its speed; audit, lsm, mitigations and tests of cryptography would
# take long. Cleared are the CPU's fast string moves (bits 580 and 297), protection keys and five levels
# of pages: with all of them newer models of Bochs 3.0 end in page faults without end.
make_disc() {
    cp "$root/guest/vmlinuz" /usr/lib/ISOLINUX/isolinux.bin \
        /usr/lib/syslinux/modules/bios/ldlinux.c32 "$work/iso"
    cat > "$work/iso/isolinux.cfg" << CFG
default test
prompt 0
timeout 0
label test
 kernel vmlinuz
 append initrd=initrd.gz console=ttyS0 quiet nokaslr nosmp mitigations=off tsc=reliable no_timer_check lpj=80000 audit=0 lsm=none cryptomgr.notests panic=-1 clearcpuid=580,297 no5lvl nopku
CFG
    xorriso -as mkisofs -quiet -o "$work/test.iso" -b isolinux.bin -c boot.cat -no-emul-boot \
        -boot-load-size 4 -boot-info-table "$work/iso" 2> "$work/xorriso.log" || {
        cat "$work/xorriso.log" >&2
        die "cannot make the disc"
    }
}

write_configuration() {
    local added removed features=
    added=$(grep -o '+[a-z0-9_]*' <<< "$cpu" | tr -d + | paste -s -d , || true)
    removed=$(grep -o -e '-[a-z0-9_]*' <<< "$cpu" | tr -d - | paste -s -d , || true)
    [ -z "$added" ] || features+=", add_features=\"$added\""
    [ -z "$removed" ] || features+=", exclude_features=\"$removed\""
    cat > "$work/bochsrc" << CFG
plugin_ctrl: unmapped=1, biosdev=1, speaker=0, extfpuirq=1, parallel=0, serial=1, iodebug=1
config_interface: textconfig
display_library: term
memory: guest=512, host=512
romimage: file=$root/emulator/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/vgabios/vgabios.bin
cpu: model=${cpu%%[-+]*}, count=1, ips=20000000, reset_on_triple_fault=0, ignore_bad_msrs=1$features
clock: sync=none, time0=utc
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path=test.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=serial
log: bochs.log
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
CFG
    # The emulator with the C library that it was built for.
    cat > "$work/emulate" << CFG
#!/bin/sh
export LTDL_LIBRARY_PATH='$root/emulator/lib/x86_64-linux-gnu/bochs/plugins'
export BXSHARE='$root/emulator/share/bochs'
exec '$root/emulator/lib64/ld-linux-x86-64.so.2' \\
    --library-path '$root/emulator/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu' \\
    '$root/emulator/bin/bochs-bin' -q -f bochsrc
CFG
    chmod +x "$work/emulate"
}

mkdir "$work/iso"
make_initramfs "$@"
make_disc
write_configuration

# Its display is a terminal, which `script` gives it, and besides one that it opens itself and names:
# somebody has to read that, or Bochs waits when its buffer is full. When the machine is switched off
# Bochs ends, with an error as it likes; what counts is what came over the serial line.
read_screen() {
    local screen
    until screen=$(sed -n 's/.*connected to screen "\(.*\)".*/\1/p' "$work/terminal") && [ -n "$screen" ]; do
        sleep 0.2
    done
    stty -F "$screen" raw -echo
    exec cat "$screen" > /dev/null
}
: > "$work/terminal"
read_screen 2> /dev/null &
reader=$!
(cd "$work" && TERM=xterm timeout "$timeout" script -qfec ./emulate /dev/null \
    < /dev/null > terminal 2>&1) || true
kill "$reader" 2> /dev/null || true
touch "$work/serial"
tr -d '\r' < "$work/serial" > "$work/output"

status_of() { # NAME
    sed -n "s/^.*@end ${1//./[.]} \([0-9]*\)\$/\1/p" "$work/output"
}
if [ -n "$alone" ]; then
    name=$(basename "$1")
    status=$(status_of "$name")
    [ -n "$status" ] || die "$name did not end: $(tail -n 5 "$work/terminal" "$work/bochs.log")"
    sed -e "0,/@begin $name\$/d" -e "/@end $name [0-9]*\$/,\$d" "$work/output"
    exit "$status"
fi

failed=0
cat "$work/output"
echo
for program in "$@"; do
    name=$(basename "$program")
    case $(status_of "$name") in
        0) verdict=Passed ;;
        4) verdict=Skipped ;;
        '') verdict='***did not end' ;;
        *) verdict='***Failed' ;;
    esac
    [[ $verdict != \*\*\** ]] || failed=$((failed + 1))
    printf '%s: %s\n' "$name" "$verdict"
done
if ! grep -q '^@done$' "$work/output"; then
    echo "the machine stopped before the last program ended, or after $timeout s:"
    tail -n 5 "$work/terminal" "$work/bochs.log" || true
fi
echo
echo "$(((100 * ($# - failed)) / $#))% tests passed, $failed tests failed out of $#"
[ "$failed" -eq 0 ]
