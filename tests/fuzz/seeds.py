#!/usr/bin/env python3
"""Writes the inputs that the fuzz targets start from: files that are well-formed, and the hostile
ones on which readers of these formats have failed, each named after what is wrong with it.

    seeds.py FOLDER

FOLDER/TARGET is for the target of this name. Nothing is shared with the library's writers.
"""
import json
import pathlib
import random
import struct
import sys

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden" / "checkpoints.safetensors"
HUGE = (1 << 31, 1 << 32, (1 << 60) + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 8, (1 << 64) - 1)

# id: (weights, bytes) of a block.
BLOCKS = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
          9: (32, 36), 10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176),
          14: (256, 210), 15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98),
          19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1),
          25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
          34: (256, 54), 35: (256, 66), 39: (32, 17), 40: (64, 36), 41: (128, 18), 42: (64, 18)}
U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)

noise = random.Random(20)


def u32(*values):
    return b"".join(struct.pack("<I", value & 0xFFFFFFFF) for value in values)


def u16(value):
    return struct.pack("<H", value)


def u64(*values):
    return b"".join(struct.pack("<Q", value & (1 << 64) - 1) for value in values)


def text(of):
    of = of.encode() if isinstance(of, str) else of
    return u64(len(of)) + of


def header(tensors, entries, version=3):
    return b"GGUF" + u32(version) + u64(tensors, entries)


def entry(key, kind, value):
    return text(key) + u32(kind) + value


def array(key, kind, count, values=b""):
    return entry(key, ARRAY, u32(kind) + u64(count) + values)


def tensor(name, dims, kind=0, offset=0):
    return text(name) + u32(len(dims)) + u64(*dims) + u32(kind) + u64(offset)


def aligned(start, data=b"", to=32):
    return start + bytes(-len(start) % to) + data


def one(dims, kind=0, offset=0, data=bytes(64), name="t"):
    return aligned(header(1, 0) + tensor(name, dims, kind, offset), data)


def noisy(size):
    """Bytes whose 16-bit words are finite as fp16."""
    return bytes(noise.randrange(256) & (0xFB if i % 2 else 0xFF) for i in range(size))


def gguf_good():
    entries = [entry("general.architecture", STRING, text("llama")),
               entry("general.alignment", U32, u32(64)), entry("b", BOOL, b"\1")]
    for kind, size in ((U8, 1), (I8, 1), (U16, 2), (I16, 2), (U32, 4), (I32, 4), (F32, 4), (U64, 8),
                       (I64, 8), (F64, 8)):
        entries.append(entry(f"n{kind}", kind, noisy(size)))
        entries.append(array(f"a{kind}", kind, 2, noisy(2 * size)))
    entries.append(array("ab", BOOL, 2, b"\0\1"))
    entries.append(array("tokens", STRING, 3, text("<s>") + text("") + text("\u00e9t\u00e9")))
    start = header(2, len(entries)) + b"".join(entries)
    start += tensor("w", [32, 2], 8, 64) + tensor("bias", [3], 0, 0)
    yield "entries", aligned(start, noisy(64) + noisy(68), 64)
    yield "version_2", header(0, 0, 2)
    for kind, (weights, size) in BLOCKS.items():
        yield f"type_{kind}", one([weights, 2], kind, 0, noisy(2 * size))
    # Rows that fill more than a panel, and more than one block each.
    yield "panels", one([64, 9, 2], 2, 0, noisy(36 * 18))
    for scale in (b"\0\0\x80\x3f", b"\0\0\xc0\x7f"):
        yield f"scale_{scale.hex()}", aligned(
            header(2, 0) + tensor("a.weight", [64, 1], 40) + tensor("a.scale", [1], 0, 64),
            noisy(36) + bytes(28) + scale)
    yield "names", aligned(
        header(3, 0) + tensor("c", [8], 0, 64) + tensor("a", [8]) + tensor("b", [4], 0, 32),
        noisy(96))


def gguf_hostile():
    for n in HUGE:
        yield f"n_tensors_{n:x}", header(n, 0) + bytes(64)
        yield f"n_kv_{n:x}", header(0, n) + bytes(64)
        yield f"key_length_{n:x}", header(0, 1) + u64(n) + bytes(64)
        yield f"value_length_{n:x}", header(0, 1) + text("k") + u32(STRING) + u64(n) + bytes(64)
        yield f"name_length_{n:x}", header(1, 0) + u64(n) + bytes(64)
        yield f"array_{n:x}", header(0, 1) + array("k", U32, n, bytes(64))
        yield f"strings_{n:x}", header(0, 1) + array("k", STRING, n, text("a"))
        yield f"dim_{n:x}", one([n])
        yield f"offset_{n:x}", one([16], 0, n & ~31)
        yield f"alignment_{n:x}", header(0, 1) + entry("general.alignment", U64, u64(n))
    yield "nested_arrays", header(0, 1) + array("k", ARRAY, 1, (u32(ARRAY) + u64(1)) * 30)
    for kind in (13, 0x80000000, 0xFFFFFFFF):
        yield f"value_type_{kind:x}", header(0, 1) + entry("k", kind, bytes(32))
        yield f"element_type_{kind:x}", header(0, 1) + array("k", kind, 1, bytes(32))
    yield "boolean_2", header(0, 1) + entry("k", BOOL, b"\2")
    for n in (0, 5, 8, 9, 0x80000000):
        yield f"n_dims_{n:x}", header(1, 0) + text("t") + u32(n) + bytes(128)
    yield "dim_0", one([4, 0, 2])
    yield "dims_wrap_negative", one([(1 << 63) - 1, 2, 1, 1])
    yield "dims_wrap_zero", one([1 << 32, 1 << 32])
    yield "dims_wrap_twice", one([1 << 16, 1 << 16, 1 << 16, 1 << 16])
    yield "bytes_overflow", one([(1 << 63) - 1])
    yield "exabyte", one([1 << 60])
    yield "part_of_a_block", one([33, 32], 8, 0, bytes(256))
    yield "past_the_end", one([16], 0, 32)
    yield "offset_odd", one([1], 0, 4)
    yield "sizes_wrap", aligned(header(3, 0) + tensor("a", [1 << 60]) +
                                tensor("b", [1 << 60], 0, 1 << 62) +
                                tensor("c", [1 << 60], 0, 1 << 63), bytes(64))
    yield "overlap", aligned(header(2, 0) + tensor("a", [8]) + tensor("b", [8]), bytes(64))
    yield "overlap_inside", aligned(
        header(2, 0) + tensor("a", [8], 0, 32) + tensor("b", [32]), bytes(128))
    for n in (0, 3, 1 << 31):
        yield f"alignment_{n:x}_u32", header(0, 1) + entry("general.alignment", U32, u32(n))
    yield "alignment_negative", header(0, 1) + entry("general.alignment", I32, u32(-32))
    yield "alignment_string", header(0, 1) + entry("general.alignment", STRING, text("32"))
    yield "alignment_far", header(1, 1) + entry("general.alignment", U32, u32(1 << 30)) + tensor(
        "t", [1])
    yield "keys_twice", header(0, 2) + entry("k", U8, b"\1") * 2
    yield "names_twice", aligned(header(2, 0) + tensor("t", [1]) + tensor("t", [1], 0, 32),
                                 bytes(64))
    yield "key_empty", header(0, 1) + entry("", U8, b"\1")
    yield "name_empty", one([1], name="")
    yield "name_65", one([1], name="n" * 65)
    for bad in (b"\x80", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xff"):
        yield f"utf8_key_{bad.hex()}", header(0, 1) + entry(bad, U8, b"\1")
        yield f"utf8_value_{bad.hex()}", header(0, 1) + entry("k", STRING, text(bad))
        yield f"utf8_name_{bad.hex()}", one([1], name=bad)
    yield "key_escape", header(0, 1) + entry("\x1b[31m", 99, bytes(8))
    yield "version_1", header(0, 0, 1)
    yield "version_4", header(0, 0, 4)
    yield "big_endian", b"GGUF" + struct.pack(">IQQ", 3, 0, 0)
    yield "magic", b"GGML" + u32(3)
    for kind in (4, 31, 36, 38, 43, 97, 158, 399, 0xFFFFFFFF):
        yield f"type_{kind:x}_none", one([256], kind, 0, bytes(512))
    # Scales that are NaN or infinite, at either end of a block.
    for kind in (2, 3, 8, 10, 11, 12, 14, 16, 23, 35, 39, 40, 41):
        weights, size = BLOCKS[kind]
        yield f"nan_front_{kind}", one([weights], kind, 0, b"\xff\x7e" + noisy(size - 2))
        yield f"nan_back_{kind}", one([weights], kind, 0, noisy(size - 2) + b"\x00\x7c")
    yield "ternary_3", one([256], 35, 0, b"\xff" * 64 + b"\x00\x3c")


def blocks():
    """The type's id, then blocks."""
    for kind, (_, size) in BLOCKS.items():
        yield f"noise_{kind}", bytes([kind]) + bytes(noise.randrange(256) for _ in range(2 * size))
        yield f"zeros_{kind}", bytes([kind]) + bytes(size)
        yield f"ones_{kind}", bytes([kind]) + b"\xff" * size
        yield f"part_{kind}", bytes([kind]) + bytes(size + 1)
    for kind in (4, 5, 31, 33, 36, 38, 43, 63):
        yield f"none_{kind}", bytes([kind, 1, 2, 3])


def st_tensor(name="t", dtype="U8", shape=(4,), offsets=(0, 4)):
    return f'"{name}":' + json.dumps(
        {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)},
        separators=(",", ":"))


DTYPE_BITS = {"BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8,
              "F8_E4M3": 8, "F8_E8M0": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32,
              "U32": 32, "F32": 32, "C64": 64, "F64": 64, "I64": 64, "U64": 64}


def safetensors():
    """How many bytes are behind the header, then the header and these bytes."""

    def file(header, data=b""):
        header = header.encode() if isinstance(header, str) else header
        return bytes([len(data)]) + header + data

    def of(*tensors, data=bytes(8)):
        return file("{" + ",".join(tensors) + "}", data)

    for dtype, bits in DTYPE_BITS.items():
        yield f"dtype_{dtype}", of(st_tensor("t", dtype, (2, 4), (0, bits)), data=noisy(bits))
    yield "metadata", file('{"__metadata__":{"format":"pt","\\u00e9":"\\ud83d\\ude00"},' +
                           st_tensor() + "}", bytes(4))
    yield "several", of(st_tensor("b", "U8", (4,), (4, 8)), st_tensor("a"))
    yield "scalar_and_empty", of(st_tensor("s", "F32", (), (0, 4)),
                                 st_tensor("e", "F32", (0, 1 << 63), (4, 4)), data=bytes(4))
    yield "index", file('{"metadata":{"total_size":1},"weight_map":{"a":"1.safetensors"}}')
    yield "index_away", file('{"weight_map":{"a":"../x","b":"/etc/x","c":".."}}')
    for other in ("null", "true", "1", "1.5", "[]", "{}", '""'):
        yield f"index_{other}", file('{"weight_map":{"a":' + other + "}}")
        yield f"index_map_{other}", file('{"x":' + other + ',"weight_map":' + other + "}")
    for whole in (b"", b"1234567", u64(2) + b"{}", u64(3) + b"{}", u64(100_000_001) + b"{}",
                  u64((1 << 64) - 1) + b"{}", u64(0) + b"{}"):
        yield f"whole_{whole.hex()}", b"\0" + whole
    yield "index_twice", file('{"weight_map":{"a":"x","a":"y"}}')
    yield "index_deep", file('{"x":' + "[" * 70)
    for n in HUGE:
        yield f"dim_{n:x}", of(st_tensor(shape=(n,)))
        yield f"dims_{n:x}", of(st_tensor(shape=(n, 2, 1, 1)))
        yield f"end_{n:x}", of(st_tensor(offsets=(0, n)))
        yield f"begin_{n:x}", of(st_tensor(offsets=(n, 4)))
    yield "wraps_to_zero", of(st_tensor(shape=(1 << 32, 1 << 32)))
    yield "more_than_64_bits", of(st_tensor(shape=(1 << 64,)))
    yield "negative", of(st_tensor(shape=(-1,)))
    yield "fraction", of(st_tensor(shape=(1.5,)))
    yield "exponent", of('"t":{"dtype":"U8","shape":[1e3],"data_offsets":[0,4]}')
    yield "half_a_byte", of(st_tensor("t", "F4", (3,), (0, 2)))
    yield "gap", of(st_tensor("a"), st_tensor("b", "U8", (3,), (5, 8)))
    yield "hole_at_the_end", of(st_tensor())
    yield "hole_at_the_start", of(st_tensor(offsets=(4, 8)))
    yield "overlap", of(st_tensor("a"), st_tensor("b", "U8", (4,), (3, 7)))
    yield "names_twice", of(st_tensor("a"), st_tensor("a", "U8", (4,), (4, 8)))
    yield "names_twice_escaped", of(st_tensor("a"), st_tensor("\\u0061", "U8", (4,), (4, 8)))
    yield "keys_twice", file('{"__metadata__":{"k":"","k":""}}')
    yield "metadata_twice", file('{"__metadata__":{},"__metadata__":{}}')
    yield "metadata_number", file('{"__metadata__":{"k":1}}')
    yield "key_unknown", of('"t":{"dtype":"U8","stride":[1]}')
    yield "dtype_unknown", of(st_tensor("t", "U7"))
    yield "missing", of('"t":{}')
    yield "deep", file('{"t":' + "[" * 200)
    yield "deep_objects", file('{"t":' * 100)
    for bad in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80"):
        yield f"utf8_{bad.hex()}", file(b'{"' + bad + b'":1}')
    yield "lone_surrogate", file('{"\\ud800":1}')
    yield "control", file('{"\x01":1}')
    yield "spaces", file("{}" + " " * 30)
    yield "array", file("[]")
    yield "two_objects", file("{}{}")
    yield "nul", file("{}\0")


def import_seed(tensors):
    """As safetensors_imports_fuzz reads them: tensors as (name, dtype, shape, bytes)."""
    dtypes = list(DTYPE_BITS)
    made, data = bytes([len(tensors)]), b""
    for name, dtype, shape, part in tensors:
        made += bytes([len(name)]) + name.encode() + bytes([dtypes.index(dtype), len(shape)])
        made += b"".join(struct.pack("<H", dim) for dim in shape)
        data += part
    return made + data


def imports():
    """The layers of tests/golden, one a seed."""
    whole = GOLDEN.read_bytes()
    size = struct.unpack("<Q", whole[:8])[0]
    layers = {}
    for name, said in json.loads(whole[8:8 + size]).items():
        layer, _, part = name.partition(".")
        if name == "__metadata__" or part == "expected":
            continue
        begin, end = (8 + size + offset for offset in said["data_offsets"])
        layers.setdefault(layer, []).append((part, said["dtype"], said["shape"], whole[begin:end]))
    for layer, tensors in layers.items():
        yield layer, import_seed(tensors)
        for i, (part, dtype, shape, data) in enumerate(tensors):
            rest = tensors[:i] + tensors[i + 1:]
            yield f"{layer}_without_{i}", import_seed(rest)
            other = {"F32": "F16", "F16": "BF16", "I32": "U32"}.get(dtype, "F32")
            size = len(data) * DTYPE_BITS[other] // DTYPE_BITS[dtype]
            yield f"{layer}_other_type_{i}", import_seed(
                rest + [(part, other, shape, (data * 4)[:size])])
            yield f"{layer}_ones_{i}", import_seed(
                rest + [(part, dtype, shape, b"\xff" * len(data))])


def writers():
    """Calls as writers_fuzz reads them: first the format, then a byte for each call."""

    def name(of):
        return bytes([len(of)]) + of.encode()

    yield "gguf", (b"\0" + b"\0" + name("i8") + u16(5) + b"\1" + name("u16") + u16(7) +
                   b"\2" + name("i64") + u16(9) + b"\3" + name("s") + name("text") +
                   b"\4" + name("list") + name("a") + name("b") +
                   b"\5" + name("w") + b"\2" + b"\2" + bytes([16, 3]) + noisy(54) + b"\7" +
                   b"\5" + name("x") + b"\0" + b"\1" + b"\3" + noisy(12))
    yield "gguf_alignment", b"\0" + b"\x0f" + u16(64) + b"\5" + name("t") + b"\0\1\3" + noisy(12)
    yield "gguf_alignment_3", b"\0" + b"\x0f" + u16(3)
    yield "gguf_twice", b"\0" + (b"\1" + name("k") + u16(1)) * 2 + (b"\5" + name("t") + b"\0\1\3") * 2
    yield "gguf_huge", b"\0\5" + name("t") + b"\0\1\xff" + u64(1 << 62)
    yield "gguf_huge_twice", b"\0" + b"".join(b"\5" + name(of) + b"\0\1\xff" + u64(0x3FFFFFFFFFFFFFFF)
                                              for of in "ab")
    yield "gguf_names", b"\0\5" + name("n" * 64) + b"\0\1\3\5" + name("") + b"\0\1\3"
    yield "safetensors", (b"\1" + b"\0" + name("format") + name("pt") +
                          b"\1" + name("w") + b"\x0b\2\4\3" + b"\1" + name("e") + b"\x0f\2\0\3" +
                          b"\1" + name("q\"\\\n") + b"\1\1\4" + noisy(30))
    yield "safetensors_half_a_byte", b"\1\1" + name("t") + b"\1\1\3"
    yield "safetensors_twice", b"\1" + (b"\1" + name("t") + b"\4\1\3") * 2 + (b"\0" + name("k") * 2) * 2
    yield "safetensors_huge", b"\1\1" + name("t") + b"\4\1\xff" + u64((1 << 64) - 1)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    gguf = [*gguf_good(), *gguf_hostile()]
    sets = {"gguf_fuzz": gguf, "gguf_load_fuzz": gguf, "gguf_blocks_fuzz": blocks(),
            "safetensors_fuzz": safetensors(), "safetensors_imports_fuzz": imports(),
            "writers_fuzz": writers(),
            "packed_file_fuzz": gguf}  # and a packed file that it makes itself
    for name, cases in sets.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        made = dict(cases)
        for seed, data in made.items():
            (folder / name / seed).write_bytes(data)
        print(f"{name}: {len(made)} seeds")


if __name__ == "__main__":
    main()
