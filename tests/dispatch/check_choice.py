#!/usr/bin/env python3
"""Runs a program of kernels for several instruction sets, and compares what it chose and computed.

    check_choice.py PROGRAM ISAS [EMULATOR CPU ISA]

ISAS: those that the kernels were built for, ascending, with commas. The program prints lines
`ISA: text`: what was chosen, then results. Here it runs once without a limit and once for each known
value of QUANT_MAX_ISA; the choice must be the best that /proc/cpuinfo has. Or under an emulator, as
CPU, whose best is ISA: programs of x86-64 without a limit and under the lowest, those of AArch64
under each.

Results (the words of 16 hexadecimal digits) are equal for all instruction sets; those named
`products`, for all that fuse multiplication and addition.
"""
import os
import re
import shutil
import subprocess
import sys

EXIT_SKIPPED = 4
ORDER = ["sse2", "sse42", "avx2", "avxvnni", "avx512bw", "avx512vnni", "avx512vnni_vbmi",
         "avx512vnni_vbmi_bf16"]
ARM_ORDER = ["neon", "neon_dotprod", "neon_i8mm", "neon_i8mm_bf16"]
UNFUSED = {"sse2", "sse42"}
SSE42 = {"sse4_2", "popcnt"}
AVX2 = SSE42 | {"avx2", "fma", "f16c"}
AVX512BW = AVX2 | {"avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512cd"}
VBMI = AVX512BW | {"avx512_vnni", "avx512vbmi", "avx512_vbmi2", "avx512ifma"}
NEEDS = {"sse2": set(), "sse42": SSE42, "avx2": AVX2, "avxvnni": AVX2 | {"avx_vnni"},
         "avx512bw": AVX512BW, "avx512vnni": AVX512BW | {"avx512_vnni"}, "avx512vnni_vbmi": VBMI,
         "avx512vnni_vbmi_bf16": VBMI | {"avx512_bf16"},
         "neon": set(), "neon_dotprod": {"asimddp"}, "neon_i8mm": {"asimddp", "i8mm"},
         "neon_i8mm_bf16": {"asimddp", "i8mm", "bf16"}}


def cpu_flags():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return set(re.search(r"^flags\s*: (.*)$", file.read(), re.MULTILINE)[1].split())


class Runs:
    """Runs of one program, and what is wrong with them."""

    def __init__(self, command):
        self.command = command
        self.results = {}
        self.problems = []

    def run(self, limit, expected, complaints=0):
        """Runs under QUANT_MAX_ISA=limit; None leaves it unset."""
        environment = {k: v for k, v in os.environ.items() if k != "QUANT_MAX_ISA"}
        if limit is not None:
            environment["QUANT_MAX_ISA"] = limit
        done = subprocess.run(self.command, env=environment, capture_output=True, text=True)
        name = f"QUANT_MAX_ISA={limit!r}"
        if done.returncode != 0:
            self.problems.append(f"{name}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
            return
        said = [line for line in done.stderr.splitlines() if line.startswith("quant: QUANT_MAX_ISA")]
        if len(said) != complaints or "\x1b" in done.stderr or 70 * "2" in done.stderr:
            self.problems.append(f"{name}: {complaints} complaints expected: {done.stderr!r}")
        for line in done.stdout.splitlines():
            chosen, _, text = line.partition(": ")
            if chosen != expected:
                self.problems.append(f"{name}: expected {expected}, chosen {chosen}")
            for what, number in re.findall(r"(\w+) ([0-9a-f]{16})\b", text):
                key = (what, what == "products" and chosen in UNFUSED)
                self.compare(key, number, f"{name}, {chosen}")
        print(f"{name}: {done.stdout.strip()}")

    def compare(self, key, number, name):
        first, of = self.results.setdefault(key, (number, name))
        if number != first:
            self.problems.append(f"{key[0]}: {number} ({name}), {first} ({of})")


def best(built, flags, limit):
    """The last instruction set that was built, is there, and not above the limit."""
    order = ORDER if limit in ORDER else ARM_ORDER
    allowed = order[:order.index(limit) + 1]
    return [isa for isa in built if isa in allowed and NEEDS[isa] <= flags][-1]


def check_limits(command, built, flags, order):
    """Problems of a command on a CPU with these flags, with and without limits."""
    runs = Runs(command)
    runs.run(None, best(built, flags, order[-1]))
    runs.run("", best(built, flags, order[-1]))
    for limit in order:
        runs.run(limit, best(built, flags, limit))
    # The second must not reach the terminal as it is, nor whole.
    for unknown in ("avx1024", "avx\x1b[31m\n" + 100 * "2"):
        runs.run(unknown, best(built, flags, order[-1]), complaints=1)
    return runs.problems


def check_emulated(program, built, emulator, cpu, isa):
    """Problems on an emulated CPU, whose results are also compared with this machine's."""
    runs = Runs([program])
    runs.run(None, best(built, cpu_flags(), ORDER[-1]))
    runs.run("sse2", "sse2")
    runs.command = [emulator, "-cpu", cpu, program]
    print(" ".join(runs.command))
    runs.run(None, best(built, NEEDS[isa], ORDER[-1]))
    runs.run("sse2", "sse2")
    return runs.problems


def main(arguments):
    if len(arguments) not in (2, 5):
        print(__doc__, file=sys.stderr)
        return 2
    program, built = arguments[0], arguments[1].split(",")
    if len(arguments) == 2:
        problems = check_limits([program], built, cpu_flags(), ORDER)
    elif not shutil.which(arguments[2]):
        print(f"SKIPPED: there is no {arguments[2]} (of Debian's package qemu-user)")
        return EXIT_SKIPPED
    elif built[0] in ARM_ORDER:
        emulator, cpu, isa = arguments[2:]
        problems = check_limits([emulator, "-cpu", cpu, program], built, NEEDS[isa], ARM_ORDER)
    else:
        problems = check_emulated(program, built, *arguments[2:])
    print("\n".join(problems) or "as expected")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
