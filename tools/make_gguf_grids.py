#!/usr/bin/env python3
"""Writes the codebooks of GGUF's IQ1 … IQ3 types and the levels of IQ4 as a C++ header.

    make_gguf_grids.py            prints the header
    make_gguf_grids.py --write    replaces the one in include/
    make_gguf_grids.py --check    compares it with the one in include/; exit code 1 if they differ,
                                  77 if the package is missing

The codebooks are constants of the format. They are taken from the decoders of the Python package
`gguf` (MIT License; needs numpy), in which each is an array of floats. A vector is stored here as one
integer, the first coordinate in its lowest bits: eight coordinates of two bits, or four of three.
"""
import pathlib
import sys

HEADER = pathlib.Path(__file__).resolve().parent.parent / "include/quant/io/gguf/codecs/iq_grids.hpp"
SKIPPED = 77

# Decoder of the package, name here, values of a coordinate, what to say.
GRIDS = (
    ("IQ1_S", "iq1", (-1, 0, 1), "IQ1_S and IQ1_M"),
    ("IQ2_XXS", "iq2_xxs", (8, 25, 43), "IQ2_XXS"),
    ("IQ2_XS", "iq2_xs", (8, 25, 43), "IQ2_XS"),
    ("IQ2_S", "iq2_s", (8, 25, 43), "IQ2_S"),
    ("IQ3_XXS", "iq3_xxs", (4, 12, 20, 28, 36, 44, 52, 62), "IQ3_XXS"),
    ("IQ3_S", "iq3_s", (1, 3, 5, 7, 9, 11, 13, 15), "IQ3_S"),
)

OPENING = """\
// The codebooks of IQ1 … IQ3 and the levels of IQ4: made by tools/make_gguf_grids.py, not by hand.
//
// Constants of the GGUF format, taken from the Python package gguf (see NOTICE). Each integer is a
// vector, the first coordinate in its lowest bits: of IQ1 and IQ2 eight coordinates of two bits, of
// IQ3 four of three bits. gguf_*_values says which number a coordinate stands for.
#pragma once

#include <quant/core/config.hpp>

#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace detail {

// clang-format off
"""

CLOSING = """\
// clang-format on

} // namespace detail
} // namespace quant::inline QUANT_ABI
"""


def packed_vectors(vectors, values):
    """Each vector as one integer."""
    bits = (len(values) - 1).bit_length()
    code = {value: i for i, value in enumerate(values)}
    return [sum(code[int(v)] << (bits * j) for j, v in enumerate(vector)) for vector in vectors]


def table(name, what, values, vectors):
    numbers = packed_vectors(vectors, values)
    digits = 4 if max(numbers) > 0xFFF else 3
    per_line = 96 // (digits + 4)
    lines = [", ".join(f"0x{n:0{digits}X}" for n in numbers[i:i + per_line])
             for i in range(0, len(numbers), per_line)]
    return (f"/// {what}: {len(numbers)} vectors of {len(vectors[0])}.\n"
            f"inline constexpr std::int8_t gguf_{name}_values[] = {{{', '.join(map(str, values))}}};\n"
            f"inline constexpr std::uint16_t gguf_{name}_vectors[] = {{\n    "
            + ",\n    ".join(lines) + ",\n};\n")


def header():
    from gguf import quants
    tables = []
    for decoder_name, name, values, what in GRIDS:
        decoder = getattr(quants, decoder_name)
        decoder.init_grid()
        vectors = decoder.grid.reshape(decoder.grid_shape)
        tables.append(table(name, what, values, vectors))
    levels = ", ".join(map(str, quants.IQ4_NL.kvalues))
    tables.append(f"/// IQ4_NL and IQ4_XS: what each code stands for.\n"
                  f"inline constexpr std::int8_t gguf_iq4_levels[] = {{\n    {levels},\n}};\n")
    return OPENING + "\n".join(tables) + CLOSING


def main(arguments):
    try:
        made = header()
    except ImportError as missing:
        print(f"SKIPPED: {missing}; install the Python packages gguf and numpy", file=sys.stderr)
        return SKIPPED
    if arguments == ["--write"]:
        HEADER.write_text(made, encoding="utf-8")
    elif arguments == ["--check"]:
        if HEADER.read_text(encoding="utf-8") != made:
            print(f"{HEADER} is not what the package's codebooks give", file=sys.stderr)
            return 1
        print(f"{HEADER} has the package's codebooks")
    elif not arguments:
        print(made, end="")
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
