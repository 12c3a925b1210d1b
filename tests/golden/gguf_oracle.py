#!/usr/bin/env python3
"""Compares quant's GGUF decoders with the NumPy decoders of the Python package gguf.

    gguf_oracle.py PROGRAM                   PROGRAM is the built tests/golden/gguf_decode.cpp
    gguf_oracle.py --install FOLDER PROGRAM  makes a virtual environment with gguf and numpy first

For each type that the package decodes: blocks of random bytes, of every first and every last byte, and
of all zeros, must give the same floats bit for bit, any NaN as any other. Scales that are NaN by their
standard (MXFP4's 255, NVFP4's 127) must give NaN, where the package makes numbers of them.

Exit code 0 if all agree, 1 if not, 77 if the package is missing: nothing was compared then.
"""
import pathlib
import subprocess
import sys

SKIPPED = 77
# Types of which the package knows the block, but has no decoder.
WITHOUT_DECODER = {"F64", "I8", "I16", "I32", "I64", "Q8_1", "Q8_K", "Q1_0", "Q2_0"}
RANDOM_BLOCKS = 4096


def skip(why):
    print(f"gguf_oracle: SKIPPED, no decoder was compared: {why}", file=sys.stderr)
    return SKIPPED


def install_and_run(folder, program):
    """Runs this script again, by the Python of a virtual environment that has the packages."""
    python = pathlib.Path(folder) / "bin" / "python"
    commands = ([sys.executable, "-m", "venv", folder],
                [str(python), "-m", "pip", "install", "--quiet", "gguf", "numpy"])
    for command in commands:
        try:
            subprocess.run(command, check=True)
        except (OSError, subprocess.CalledProcessError) as failure:
            return skip(f"cannot install the packages ({failure})")
    return subprocess.run([str(python), __file__, program], check=False).returncode


def test_blocks(numpy, size):
    random = numpy.random.default_rng(1)
    blocks = random.integers(0, 256, (RANDOM_BLOCKS + 512 + 1, size), dtype=numpy.uint8)
    every_byte = numpy.arange(256, dtype=numpy.uint8)
    blocks[:256, 0] = every_byte
    blocks[256:512, -1] = every_byte
    blocks[512] = 0
    return blocks


def mark_nan_scales(name, blocks, expected):
    if name == "MXFP4":
        expected[blocks[:, 0] == 255] = float("nan")
    if name == "NVFP4":
        groups = expected.reshape(-1, 4, 16)
        groups[(blocks[:, :4] & 127) == 127] = float("nan")


def compare(numpy, gguf, program, which):
    """The number of floats compared, and of those that differ."""
    weights, size = gguf.GGML_QUANT_SIZES[which]
    blocks = test_blocks(numpy, size)
    with numpy.errstate(all="ignore"):
        expected = gguf.dequantize(blocks, which).astype(numpy.float32, copy=True)
    expected = expected.reshape(-1, weights)
    mark_nan_scales(which.name, blocks, expected)
    ran = subprocess.run([program, str(which.value)], input=blocks.tobytes(), capture_output=True,
                         check=False)
    if ran.returncode != 0:
        raise SystemExit(f"{which.name}: {ran.stderr.decode(errors='replace').strip()}")
    found = numpy.frombuffer(ran.stdout, dtype=numpy.float32).reshape(expected.shape)
    same = ((found.view(numpy.uint32) == expected.view(numpy.uint32))
            | (numpy.isnan(found) & numpy.isnan(expected)))
    if not same.all():
        block, weight = numpy.argwhere(~same)[0]
        print(f"{which.name}: block {blocks[block].tobytes().hex()}, weight {weight}: "
              f"{found[block, weight]!r}, the package says {expected[block, weight]!r}")
    return same.size, int(same.size - same.sum())


def main(arguments):
    if len(arguments) == 3 and arguments[0] == "--install":
        return install_and_run(arguments[1], arguments[2])
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        import numpy
        import gguf
    except ImportError as missing:
        return skip(f"{missing}; install the Python packages gguf and numpy, or use --install")
    failed = 0
    for which in gguf.GGMLQuantizationType:
        try:
            total, different = compare(numpy, gguf, arguments[0], which)
        except NotImplementedError:
            if which.name in WITHOUT_DECODER:
                print(f"{which.name:8} not compared: the package has no decoder")
                continue
            raise
        failed += different != 0
        print(f"{which.name:8} {total} floats, {different} differ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
