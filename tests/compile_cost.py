#!/usr/bin/env python3
"""What it costs to compile with the library: CPU seconds, peak memory, bytes of code.

    compile_cost.py [--include FOLDER]... [--compiler CXX] [--most-megabytes N] [FLAG...]
    compile_cost.py --sizes [...]      code of single schemes on several instruction sets

Compiles the sources of tests/compile_cost and of examples/instantiate with -O2 and the FLAGs, and prints a
line for each; the folders are what the compiler needs besides include/. Fails if a compiler needs more
memory than --most-megabytes, never for its time, which depends on who else uses the machine.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = {
    "umbrella": (ROOT / "tests/compile_cost/umbrella.cpp", "quant/quant.hpp alone"),
    "product": (ROOT / "tests/compile_cost/product.cpp", "+ matmul of one scheme"),
    "options": (ROOT / "tests/compile_cost/options.cpp", "+ quantize_packed with options"),
    "weights": (ROOT / "examples/instantiate/weights.cpp", "+ quantize_packed, matmul"),
    "main": (ROOT / "examples/instantiate/main.cpp", "calls of both, extern template"),
}
SCHEMES = {
    "int4, symmetric, group_wise<32>, fp16":
        "quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, quant::fp16>",
    "int4, asymmetric_min, group_wise<32>, fp16":
        "quant::scheme<quant::int4, quant::asymmetric_min, quant::group_wise<32>, quant::fp16>",
    "int8, symmetric, per_channel, float":
        "quant::scheme<quant::int8, quant::symmetric, quant::per_channel, float>",
    "int3, symmetric, group_wise<32>, fp16":
        "quant::scheme<quant::int3, quant::symmetric, quant::group_wise<32>, quant::fp16>",
    "nf4, symmetric, group_wise<64>, fp16":
        "quant::scheme<quant::nf4, quant::symmetric, quant::group_wise<64>, quant::fp16>",
    "presets::q4_k": "quant::presets::q4_k",
}
AVX2 = ["-mavx2", "-mfma", "-mf16c"]
ISAS = {
    "sse2": [],
    "avx2": AVX2,
    "avx512vnni_vbmi_bf16": AVX2 + [f"-mavx512{part}" for part in (
        "f", "bw", "vl", "dq", "cd", "vnni", "ifma", "vbmi", "vbmi2", "bf16")],
}
FUNCTIONS = {
    "product": """void f(quant::matrix_view<const float> x, quant::packed_view<scheme> w,
    quant::matrix_view<float> y) { quant::matmul(x, w, y); }""",
    "quantize": """quant::packed_matrix<scheme> f(quant::matrix_view<const float> w) {
    return quant::quantize_packed<scheme>(w); }""",
}


def compile_one(command, source, output):
    """(CPU seconds, megabytes) of compiling a source."""
    child = subprocess.Popen([*command, "-c", str(source), "-o", str(output)])
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"compile_cost.py: {source} does not compile")
    unit = 2**20 if sys.platform == "darwin" else 2**10  # of ru_maxrss, per megabyte
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit


def code_bytes(tool, output):
    """What size(1) calls text: code and constants."""
    lines = subprocess.run([tool, str(output)], check=True, capture_output=True, text=True).stdout
    return int(lines.splitlines()[1].split()[0])


def print_costs(command, folder, tool, most_megabytes):
    too_much = []
    print(f"{'source':10} {'CPU s':>6} {'MB':>5} {'code bytes':>10}")
    for name, (source, what) in SOURCES.items():
        seconds, megabytes = compile_one(command, source, folder / "cost.o")
        size = code_bytes(tool, folder / "cost.o")
        print(f"{name:10} {seconds:6.1f} {megabytes:5.0f} {size:10}  {what}", flush=True)
        if megabytes > most_megabytes:
            too_much.append(f"{name}: {megabytes:.0f} MB, more than {most_megabytes}")
    return too_much


def print_sizes(command, folder, tool):
    for name, scheme in SCHEMES.items():
        cells = []
        for flags in ISAS.values():
            for function in FUNCTIONS.values():
                source = folder / "size.cpp"
                source.write_text(f"#include <quant/quant.hpp>\nusing scheme = {scheme};\n{function}\n",
                                  encoding="utf-8")
                compile_one([*command, *flags, "-w"], source, folder / "size.o")
                cells.append(f"{code_bytes(tool, folder / 'size.o') / 1024:.0f}")
        pairs = [" + ".join(cells[i:i + 2]) for i in range(0, len(cells), 2)]
        print(f"| `{name}` | {' | '.join(pairs)} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compiler", default=os.environ.get("CXX", "g++"))
    parser.add_argument("--include", action="append", default=[])
    parser.add_argument("--size-tool", default="size")
    parser.add_argument("--most-megabytes", type=int, default=700)
    parser.add_argument("--sizes", action="store_true")
    arguments, flags = parser.parse_known_args()

    command = [arguments.compiler, "-std=c++20", "-O2", f"-I{ROOT / 'include'}"]
    for path in arguments.include:
        command += ["-isystem", path]
    command += flags
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        if arguments.sizes:
            print_sizes(command, folder, arguments.size_tool)
            return 0
        too_much = print_costs(command, folder, arguments.size_tool, arguments.most_megabytes)
    print("\n".join(too_much) if too_much else f"all within {arguments.most_megabytes} MB")
    return 1 if too_much else 0


if __name__ == "__main__":
    sys.exit(main())
