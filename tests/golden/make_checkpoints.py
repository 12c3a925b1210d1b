#!/usr/bin/env python3
"""Writes tests/golden/checkpoints.safetensors: small layers in the formats of other quantizers, and
the weights that they stand for.

    make_checkpoints.py            writes the file
    make_checkpoints.py --check    compares it with what would be written; exit code 1 if it differs

Needs NumPy. For each layer NAME the tensors that the format prescribes, and NAME.expected, the
weights [N, K] in float32. Weights are computed from the plain integers by the formats' formulas, and
the integers packed field by field, by Python's unlimited integers: nothing is shared with the
library, not even the writer of safetensors.
"""
import json
import pathlib
import struct
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
N, K, G = 32, 32, 16  # outputs, inputs, columns of a group
random = np.random.RandomState(20)
tensors = {}

DTYPES = {"int32": "I32", "int64": "I64", "int8": "I8", "uint8": "U8", "float16": "F16",
          "float32": "F32"}


def put(name, array, dtype=None):
    array = np.ascontiguousarray(array)
    tensors[name] = (dtype or DTYPES[str(array.dtype)], array)


def bfloat16(values):
    """Bits of the nearest below in magnitude, and their values."""
    bits = np.asarray(values, np.float32).view(np.uint32) >> 16
    return bits.astype(np.uint16), (bits << 16).view(np.float32)


def dense(fields, bits):
    """One long number, the first field lowest, cut into words of 32 bits."""
    number = sum(int(field) << bits * i for i, field in enumerate(fields))
    words = -(-len(fields) * bits // 32)
    return [number >> 32 * i & 0xFFFFFFFF for i in range(words)]


def padded(fields, bits):
    """As many whole fields as fit into each word."""
    per_word = 32 // bits
    return [sum(int(field) << bits * i for i, field in enumerate(fields[first:first + per_word]))
            for first in range(0, len(fields), per_word)]


def words(rows):
    return np.array(rows, np.uint32).view(np.int32)


def along_columns(matrix, bits, pack=dense):
    """Every column of a matrix packed from top to bottom."""
    return words([pack(column, bits) for column in matrix.T]).T


def along_rows(matrix, bits, pack=dense):
    return words([pack(row, bits) for row in matrix])


def codes(bits, shape=(N, K)):
    return random.randint(0, 1 << bits, shape)


def half_scales(shape):
    return (random.randint(1, 2000, shape) / 65536).astype(np.float16)


def expected(name, scales, zeros, q, group_of):
    """scale·(q − zero); scales and zeros [N, groups], a group for each column."""
    wide = scales.astype(np.float64)[:, group_of] * (q - zeros[:, group_of])
    put(name + ".expected", wide.astype(np.float32))


def gptq(name, bits, stored_less, constant=None, act_order=False):
    groups = K // G
    q = codes(bits)
    zeros = codes(bits, (N, groups)) if constant is None else np.full((N, groups), constant)
    scales = half_scales((N, groups))
    group_of = random.permutation(K) // G if act_order else np.arange(K) // G
    put(name + ".qweight", along_columns(q.T, bits))
    put(name + ".qzeros", along_rows((zeros.T - stored_less) % (1 << bits), bits))
    put(name + ".scales", scales.T)
    put(name + ".g_idx", group_of.astype(np.int32))
    expected(name, scales, zeros, q, group_of)


def awq(name):
    groups = K // G
    q, zeros, scales = codes(4), codes(4, (N, groups)), half_scales((N, groups))
    order = [0, 2, 4, 6, 1, 3, 5, 7]

    def pack(matrix):
        return words([[sum(int(row[8 * w + order[i]]) << 4 * i for i in range(8))
                       for w in range(N // 8)] for row in matrix])

    put(name + ".qweight", pack(q.T))
    put(name + ".qzeros", pack(zeros.T))
    put(name + ".scales", scales.T)
    expected(name, scales, zeros, q, np.arange(K) // G)


def compressed(name, bits, pack=dense, zero_points=False, act_order=False):
    """q from −2^(B−1) on, stored with 2^(B−1) added; zero points, too."""
    groups = K // G
    half = 1 << bits - 1
    q = codes(bits) - half
    zeros = codes(bits, (N, groups)) - half if zero_points else np.zeros((N, groups), int)
    bits_of_scales, scales = bfloat16(half_scales((N, groups)))
    group_of = random.permutation(K) // G if act_order else np.arange(K) // G
    put(name + ".weight_packed", along_rows(q + half, bits, pack))
    put(name + ".weight_shape", np.array([N, K], np.int64))
    put(name + ".weight_scale", bits_of_scales, "BF16")
    if zero_points:
        put(name + ".weight_zero_point", along_columns(zeros + half, bits, pack))
    put(name + ".weight_g_idx",
        group_of.astype(np.int32) if act_order else np.full(K, -1, np.int32))
    expected(name, scales, zeros, q, group_of)


def compressed_int8(name):
    q = codes(8) - 128
    zeros = random.randint(-128, 128, (N, 1))
    scales = half_scales((N, 1)).astype(np.float32)
    put(name + ".weight", q.astype(np.int8))
    put(name + ".weight_scale", scales)
    put(name + ".weight_zero_point", zeros.astype(np.int8))
    expected(name, scales, zeros, q, np.zeros(K, int))


def e4m3(bits):
    """(−1)^sign · 2^(e − 7) · (1 + m/8), or 2^−6 · m/8 if e = 0; e = 15 with m = 7 is NaN."""
    exponent, mantissa = bits >> 3 & 15, bits & 7
    value = np.where(exponent == 0, mantissa / 512.0,
                     2.0 ** (exponent - 7) * (1 + mantissa / 8.0))
    return np.where(bits & 128, -value, value)


def e5m2(bits):
    """(−1)^sign · 2^(e − 15) · (1 + m/4), or 2^−14 · m/4 if e = 0; e = 31 is no number."""
    exponent, mantissa = bits >> 2 & 31, bits & 3
    value = np.where(exponent == 0, mantissa / 65536.0,
                     2.0 ** (exponent - 15.0) * (1 + mantissa / 4.0))
    return np.where(bits & 128, -value, value)


def compressed_fp8(name):
    bits = codes(8)
    bits[(bits & 127) == 127] = 1
    scale = np.array([0.013], np.float32)
    put(name + ".weight", bits.astype(np.uint8), "F8_E4M3")
    put(name + ".weight_scale", scale)
    put(name + ".expected", (e4m3(bits) * np.float64(scale[0])).astype(np.float32))


def fp8(name, shape, block, scale_name, kind="F8_E4M3", one_axis=False):
    """A scale for each block, of the last row and column of blocks whatever is left."""
    rows, cols = shape
    bits = codes(8, shape)
    bits[(bits & 127) >= (127 if kind == "F8_E4M3" else 124)] = 1
    number = (e4m3 if kind == "F8_E4M3" else e5m2)(bits)
    of_row, of_col = np.arange(rows) // block[0], np.arange(cols) // block[1]
    stored, scales = bfloat16(random.uniform(0.001, 0.1, (of_row[-1] + 1, of_col[-1] + 1)))
    put(name + ".weight", bits.astype(np.uint8), kind)
    if scale_name == "weight_scale_inv":
        scales = random.uniform(0.001, 0.1, scales.shape).astype(np.float32)
        put(f"{name}.{scale_name}", scales)
    else:
        put(f"{name}.{scale_name}", stored.reshape(-1) if one_axis else stored, "BF16")
    wide = number * scales.astype(np.float64)[of_row][:, of_col]
    put(name + ".expected", wide.astype(np.float32))


def torchao(name, with_zeros):
    groups = K // G
    q = codes(4) - 8
    scale_bits, scales = bfloat16(random.randint(64, 2000, (N, groups)) / 65536)
    zero_bits, zeros = bfloat16(random.randint(-900, 900, (N, groups)) / 4096 * with_zeros)
    stored = q & 15
    put(name + "._weight_qdata", (stored[:, 0::2] | stored[:, 1::2] << 4).astype(np.uint8))
    put(name + "._weight_scale", scale_bits.T, "BF16")
    put(name + "._weight_zero_point", zero_bits.T, "BF16")
    group_of = np.arange(K) // G
    wide = q * scales.astype(np.float64)[:, group_of] + zeros.astype(np.float64)[:, group_of]
    put(name + ".expected", wide.astype(np.float32))


NF4 = [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
       -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
       0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
       0.7229568362236023, 1.0]
FP4 = [0, 0.0625, 8, 12, 4, 6, 2, 3, -0.0, -0.0625, -8, -12, -4, -6, -2, -3]


def bitsandbytes4(name, kind, double):
    rows, cols, block = 16, 64, 64
    table = np.array(NF4 if kind == "nf4" else FP4, np.float32)
    table /= np.abs(table).max()
    q = codes(4, (rows, cols))
    flat = q.reshape(-1)
    state = {"quant_type": kind, "blocksize": block, "dtype": "bfloat16", "shape": [rows, cols]}
    put(name + ".weight", (flat[0::2] << 4 | flat[1::2]).astype(np.uint8).reshape(-1, 1))
    put(name + ".weight.quant_map", table)
    blocks = rows * cols // block
    if double:
        nested_block = 8  # 256 in practice; here so that there are several
        state |= {"nested_blocksize": nested_block, "nested_dtype": "float32",
                  "nested_offset": 0.03125179752707481}
        stored = random.randint(0, 256, blocks)
        nested_map = np.sort(random.uniform(-1, 1, 256)).astype(np.float32)
        nested = random.uniform(0.01, 0.02, blocks // nested_block).astype(np.float32)
        put(name + ".weight.absmax", stored.astype(np.uint8))
        put(name + ".weight.nested_quant_map", nested_map)
        put(name + ".weight.nested_absmax", nested)
        scales = nested_map[stored] * nested[np.arange(blocks) // nested_block]
        scales = scales + np.float32(state["nested_offset"])
        assert scales.dtype == np.float32
    else:
        scales = random.uniform(0.01, 0.2, blocks).astype(np.float32)
        put(name + ".weight.absmax", scales)
    put(f"{name}.weight.quant_state.bitsandbytes__{kind}",
        np.frombuffer(json.dumps(state).encode(), np.uint8))
    wide = table[flat].astype(np.float64) * np.repeat(scales.astype(np.float64), block)
    put(name + ".expected", wide.astype(np.float32).reshape(rows, cols))


def bitsandbytes8(name):
    q = np.maximum(codes(8) - 128, -127)
    scb = random.uniform(0.1, 2, N).astype(np.float32)
    put(name + ".weight", q.astype(np.int8))
    put(name + ".SCB", scb)
    put(name + ".weight_format", np.array(0, np.uint8))
    scales = scb / np.float32(127)
    expected(name, scales[:, None], np.zeros((N, 1)), q, np.zeros(K, int))


def file_bytes():
    """8 bytes of size, JSON, data; widest elements first."""
    order = sorted(tensors, key=lambda name: -tensors[name][1].dtype.itemsize)
    header, data = {"__metadata__": {"made by": "make_checkpoints.py"}}, b""
    for name in order:
        dtype, array = tensors[name]
        end = len(data) + array.nbytes
        header[name] = {"dtype": dtype, "shape": list(array.shape),
                        "data_offsets": [len(data), end]}
        data += array.tobytes()
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def main():
    for bits in (2, 3, 4, 8):
        gptq(f"gptq{bits}", bits, stored_less=1)
    gptq("gptq4_v2", 4, stored_less=0)
    gptq("gptq4_middle", 4, stored_less=1, constant=8)
    gptq("gptq3_middle_v2", 3, stored_less=0, constant=4)
    gptq("gptq4_act", 4, stored_less=1, act_order=True)
    awq("awq")
    compressed("ct2", 2)
    compressed("ct3_dense", 3)
    compressed("ct3_padded", 3, padded)
    compressed("ct4", 4)
    compressed("ct4_zero", 4, zero_points=True)
    compressed("ct5_padded_zero", 5, padded, zero_points=True)
    compressed("ct6_padded", 6, padded)
    compressed("ct7_dense_zero", 7, zero_points=True)
    compressed("ct8", 8)
    compressed("ct4_act", 4, zero_points=True, act_order=True)
    compressed_int8("ct_int8")
    compressed_fp8("ct_fp8")
    torchao("ao", with_zeros=1)
    torchao("ao_symmetric", with_zeros=0)
    bitsandbytes4("nf4", "nf4", double=False)
    bitsandbytes4("nf4_double", "nf4", double=True)
    bitsandbytes4("fp4", "fp4", double=False)
    bitsandbytes8("bnb8")
    fp8("fp8_blocks", (40, 56), (16, 24), "weight_scale_inv")
    fp8("fp8_rows", (24, 40), (1, 40), "weight_scale")
    fp8("fp8_rows_flat", (24, 40), (1, 40), "weight_scale", one_axis=True)
    fp8("fp8_one", (24, 40), (24, 40), "weight_scale")
    fp8("fp8_e5m2", (24, 40), (1, 40), "weight_scale", "F8_E5M2")
    fp8("ct_fp8_blocks", (40, 56), (16, 24), "weight_scale")

    path = HERE / "checkpoints.safetensors"
    made = file_bytes()
    if sys.argv[1:] == ["--check"]:
        same = path.read_bytes() == made
        print(f"{path.name} is {'' if same else 'not '}what this script writes")
        return 0 if same else 1
    path.write_bytes(made)
    print(f"{path.name}: {len(tensors)} tensors, {len(made)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
