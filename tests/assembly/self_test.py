"""Dumps that were made up, and what the checker must find in them."""
import hot_loops

NAME = ("bool quant::v0::detail::multiply_tile<quant::v0::scheme<quant::v0::int_code<4>, "
        "quant::v0::symmetric, quant::v0::group_wise<32ul>, quant::v0::fp16>, "
        "quant::v0::activations::int8<quant::v0::per_token>, {tokens}ul, {panels}ul>"
        "(std::byte const* const (&) [{panels}ul], unsigned long)")
KEY = "W4 symmetric group_wise<32> fp16 | int8<per_token> | {tokens} x {panels}"


STRETCH = ("void quant::v0::detail::multiply_stretch<quant::v0::activations::fp32, true, false, 6ul, "
           "4ul, 0ul, 4ul>(quant::v0::detail::level_stretch<quant::v0::activations::fp32, 4ul> const&, "
           "std::byte const*, float const*, float*, float*)")


def function(name, lines, step=4):
    """Text such as objdump prints; a line `@n` in an operand becomes the address of line n."""
    text = [f"0000000000000000 <{name}>:"]
    for i, line in enumerate(lines):
        while "@" in line:
            at = line.index("@")
            end = at + 1
            while end < len(line) and line[end].isdigit():
                end += 1
            line = f"{line[:at]}{int(line[at + 1:end]) * step:x}{line[end:]}"
        mnemonic, _, operands = line.partition(" ")
        text.append(f"  {i * step:6x}:\t{mnemonic:8} {operands}")
    return "\n".join(text) + "\n"


def vnni_loop(extra=()):
    """One panel, one token: a superblock of 4-bit codes in 8 dot products."""
    body = ["xor %eax,%eax"]
    for quad in range(4):
        body += [f"vmovdqu64 {64 * quad}(%rdi,%rax,1),%zmm4", "vpandd %zmm4,%zmm30,%zmm5",
                 "vpsrlw $0x4,%zmm4,%zmm6", "vpandd %zmm6,%zmm30,%zmm6",
                 f"vpdpbusd {8 * quad}(%rsi){{1to16}},%zmm5,%zmm0",
                 f"vpdpbusd {8 * quad + 4}(%rsi){{1to16}},%zmm6,%zmm1"]
    return [*body, *extra, "add $0x40,%rax", "cmp %rdx,%rax", "jne @1", "vmovdqu64 %zmm0,(%rcx)", "ret"]


WITHIN = "dot 8 load 12 convert 0 shuffle 0 bits 12 float 0 stack 0 total 27"

# 8-bit codes by halves of four bits: every weight is multiplied twice.
BY_HALVES = ["vpand (%rdi),%ymm30,%ymm4", "vpmaddubsw (%rsi),%ymm4,%ymm5", "vpaddw %ymm5,%ymm0,%ymm0",
             "vpsrlw $0x4,%ymm4,%ymm6", "vpmaddubsw (%rsi),%ymm6,%ymm7", "vpaddw %ymm7,%ymm1,%ymm1",
             "vpmaddwd %ymm0,%ymm29,%ymm8", "cmp %rdi,%rdx", "jne @0", "ret"]

# The chains' loop counts; not the loop around it, of scale steps and of a loop of additions.
CHAINS = ["vmovups (%rdi),%zmm1", "vfmadd231ps (%rsi){1to16},%zmm1,%zmm2", "cmp %rdi,%rdx", "jne @0",
          "vfmadd231ps %zmm2,%zmm3,%zmm4", "vaddss (%rcx),%xmm5,%xmm5", "cmp %rcx,%r8", "jne @5",
          "vfmadd231ps %zmm5,%zmm6,%zmm7", "cmp %r9,%r10", "jne @4", "ret"]

SCALAR = ["movzbl (%rdi),%eax", "imul %ecx,%eax", "add %eax,%edx", "inc %rdi", "cmp %rdi,%rsi",
          "jne @0", "ret"]

# The outer loop converts and scales; the inner one multiplies, and is what counts.
NESTED = ["vpxord %zmm0,%zmm0,%zmm0", "vpdpbusd (%rsi){1to16},%zmm5,%zmm0", "add $0x4,%rsi",
          "cmp %rsi,%rdx", "jne @1", "vcvtdq2ps %zmm0,%zmm1", "vfmadd231ps (%r8),%zmm1,%zmm2",
          "cmp %rdi,%r9", "jne @0", "ret"]

AMX = ["tileloadd (%rax,%r14,1),%tmm4", "tileloadd (%rbx,%r14,1),%tmm5", "tdpbssd %tmm5,%tmm4,%tmm0",
       "tileloadd (%rcx,%r14,1),%tmm5", "tdpbssd %tmm5,%tmm4,%tmm1", "jne @0", "ret"]

NEON = ["ldr q1, [x0], #16", "and v2.16b, v1.16b, v30.16b", "ushr v3.16b, v1.16b, #4",
        "sdot v4.4s, v2.16b, v5.4b[0]", "sdot v6.4s, v3.16b, v5.4b[1]", "subs x2, x2, #0x1",
        "b.ne @0  // b.any", "ret"]

WASM = ["loop", "local.get 0", "v128.load 0", "local.get 1", "i32x4.dot_i16x8_s", "i32x4.add",
        "br_if 0", "end_loop", "end_function"]


def expect(problems, what, condition, got):
    if not condition:
        problems.append(f"self-test: {what}: got {got}")


def kernels_of(*texts):
    return hot_loops.kernels(hot_loops.parse("\n".join(texts)))


def run(compare):
    """Problems of the checker itself."""
    problems = []
    name, key = NAME.format(tokens=1, panels=1), KEY.format(tokens=1, panels=1)
    budgets = {key: WITHIN}

    good = kernels_of(function(name, vnni_loop()))
    expect(problems, "name", list(good) == [key], list(good))
    expect(problems, "within the budget", not compare(good, budgets), compare(good, budgets))

    def fails(what, kernels, part, against=budgets):
        messages = compare(kernels, against)
        expect(problems, what, any(part in m for m in messages), messages)

    spill = kernels_of(function(name, vnni_loop(["vmovdqu64 %zmm1,0x40(%rsp)"])))
    fails("a spill", spill, "stack 1.00")
    framed = function(name, ["push %rbp", "mov %rsp,%rbp", *(
        line.replace("@1", "@3") for line in vnni_loop(["vmovdqu64 -0x80(%rbp),%zmm9"]))])
    fails("a spill below a frame pointer", kernels_of(framed), "stack 1.00")
    free = kernels_of(function(name, vnni_loop(["mov (%rbp),%r11"])))
    expect(problems, "rbp as any register", free[key].counts["stack"] == 0, free[key].counts)
    fails("a shuffle", kernels_of(function(name, vnni_loop(["vpermd %zmm1,%zmm2,%zmm3"]))),
          "shuffle 1.00")
    fails("half the vector width",
          kernels_of(function(name, [l.replace("zmm", "ymm") for l in vnni_loop()])), "dot 16.00")
    fails("a fall to scalar code", kernels_of(function(name, SCALAR)), "no hot loop")
    fails("a kernel that is gone", {}, "not found")
    fails("a kernel without budget", good, "has no budget", {})

    nested = kernels_of(function(name, NESTED))[key]
    expect(problems, "the inner loop", nested.counts["convert"] == 0 and nested.counts["dot"] == 8,
           nested.counts)
    whole = KEY.format(tokens=1, panels=1).replace("W4", "W8")
    halves = kernels_of(function(name.replace("int_code<4>", "int_code<8>"), BY_HALVES))[whole].counts
    expect(problems, "8 bits by halves", (halves["dot"], halves["convert"]) == (32, 16), halves)
    stretch = kernels_of(function(STRETCH, CHAINS))
    stretch_key = "stretch of long steps | fp32 | 6 x 4"
    expect(problems, "a stretch", list(stretch) == [stretch_key] and stretch[stretch_key].counts["total"] == 128,
           stretch)
    part = STRETCH.replace("true, false", "false, false").replace("4ul, 0ul, 4ul", "2ul, 2ul, 4ul")
    pair = list(kernels_of(function(part, CHAINS)))
    expect(problems, "a part of a stretch", pair == ["stretch of short steps, of 4 panels | fp32 | 6 x 2"], pair)
    shape = "quant::v0::detail::stretch_shape{%s}"
    for fields, words in [("true, true, false, false, false, false, 128", "rows, excess 128"),
                          ("0, 0, 1, 0, 0, 1", "steps, minimum, scale per block, excess 0"),
                          ("(bool)0, (bool)1, (bool)0, (bool)1, (bool)1, (bool)0, 1", "cut steps, zero point")]:
        text = STRETCH[:STRETCH.index("multiply_stretch")] + (
            "multiply_operands<quant::v0::activations::int8<quant::v0::per_token>, "
            + shape % fields + ", 6ul, 4ul, 0ul>(int)")
        made = list(kernels_of(function(text, vnni_loop())))
        expect(problems, "operands", made == [f"operands of {words} | int8<per_token> | 6 x 4"], made)
    for fields, words in [("true, false, false, false, 128", "cut steps, offset 128"),
                          ("0, 1, 0, 0, 0, 1, 1", "steps, signed, minimum, scale per block")]:
        text = "multiply_amx<quant::v0::activations::int8<quant::v0::per_token>, " \
            + "quant::v0::detail::amx_shape{" + fields + "}>(int)"
        made = kernels_of(function("void quant::v0::detail::" + text, AMX))
        amx_key = f"tiles of {words} | int8<per_token>"
        expect(problems, "AMX", list(made) == [amx_key], list(made))
        counts = made[amx_key].counts
        expect(problems, "AMX", (counts["dot"], counts["load"]) == (1, 1.5), counts)
    neon = kernels_of(function(name, NEON))[key].counts
    expect(problems, "NEON", (neon["dot"], neon["load"], neon["bits"]) == (32, 16, 32), neon)
    wasm = kernels_of(function(name, WASM))[key].counts
    expect(problems, "WebAssembly", (wasm["dot"], wasm["load"]) == (64, 64), wasm)
    return problems
