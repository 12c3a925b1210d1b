"""Finds the hot loops of product kernels in objdump's output and counts what they do.

A loop is what a backward jump encloses (in WebAssembly: `loop` … `end`). The hot loop of a function
is, of the innermost loops that multiply, the one with the most multiplications. Counts are given
per superblock and token: 16 × 32 weights times one token, which is 512 multiply-adds; of AMX per
tile of 16 tokens times 16 × 64 weights.
"""
import re
import subprocess
from dataclasses import dataclass, field

SUPERBLOCK = 512
TILE = 16 * 16 * 64
KERNELS = ("multiply_tile", "multiply_tiles", "multiply_stretch", "multiply_operands", "multiply_amx")
CLASSES = ("dot", "load", "convert", "shuffle", "bits", "float", "stack", "total")

# What an instruction is, by its mnemonic; the first match counts. (A load is a matter of operands.)
KINDS = [
    ("integer dot", r"v?pdpbusds?$|v?pdpwssds?$|v?pmaddubsw|v?pmaddwd|[us]dot$|usdot|sudot|[us]mmla|"
                    r"usmmla|[us]mlal2?$|[us]mull2?$|i32x4\.dot_|i32x4\.relaxed_dot|"
                    r"i16x8\.relaxed_dot|i16x8\.extmul|i32x4\.extmul|tdpb[su]{2}d"),
    ("bf16 dot", r"vdpbf16ps|bfdot|bfmmla|bfmlal[bt]"),
    ("float", r"vfn?m(add|sub)|v?(add|mul|sub|div)ps$|fml[as]$|f(add|mul|sub)$|fn?m(add|sub)$|"
              r"f32x4\.(add|mul|sub|relaxed_madd)"),
    ("convert", r"v?cvt|v?pmov[sz]x|vpmov[bwdq]|[us]cvtf|fcvt|bfcvt|[us]xtl|[us]shll|xtn|"
                r"[us]addlp|[us]adalp|.*extend|.*extadd|.*convert"),
    ("shuffle", r"v?pshuf|v?perm|v?shuf|v?punpck|v?unpck|v?palign|valign|v?insert|v?extract|v?pinsr|"
                r"v?pextr|v?pbroadcast|v?broadcast|v?p?blend|v?movd?dup|v?movs[hl]dup|tb[lx]$|zip|uzp|"
                r"trn|ext$|dup$|ins$|rev|.*shuffle|.*swizzle|.*splat|v?pack|vpmultishift|v?movh?l?ps$"),
    ("bits", r"v?ps[rl]|v?pa?nd|v?p?x?or[dq]?$|v?pandn|v?p?ternlog|vpternlog|v?andn?p|v?x?orp|"
             r"vp(rol|ror|shl|shr)|vgf2p8|and$|orr$|eor$|bic$|[us]shr$|[us]?shl$|[us]sra$|sli$|sri$|"
             r"v128\.(and|or|xor)|i\d+x\d+\.sh[lr]"),
]
KINDS = [(name, re.compile(pattern)) for name, pattern in KINDS]

@dataclass
class Instruction:
    address: int
    mnemonic: str
    operands: str
    target: int | None = None  # of a jump

    @property
    def text(self):
        return f"{self.mnemonic} {self.operands}".rstrip()


@dataclass
class Function:
    name: str
    instructions: list = field(default_factory=list)


# ---------------------------------------------------------------------------- reading a dump

HEADER = re.compile(r"^[0-9a-f]+ <(.*)>:$")
LINE = re.compile(r"^\s*([0-9a-f]+):\s+(?:(?:[0-9a-f]{2} )+\s*)?([a-zA-Z_{][\w.{}/]*)\s*(.*?)\s*$")
JUMP = re.compile(r"^(j[a-z]+|b(\.[a-z]+)?|cbn?z|tbn?z)$")
PREFIXES = {"notrack", "bnd", "rep", "repz", "lock", "data16", "cs", "ds", "{evex}", "{vex}", "{vex3}"}


def parse(dump):
    """The functions of `objdump -d -C --no-show-raw-insn`."""
    functions, current = [], None
    for line in dump.splitlines():
        header = HEADER.match(line)
        if header:
            current = Function(header[1])
            functions.append(current)
            continue
        match = LINE.match(line) if current else None
        if not match:
            continue
        mnemonic, operands = match[2], match[3]
        while mnemonic in PREFIXES and operands:
            mnemonic, _, operands = operands.partition(" ")
            operands = operands.strip()
        # GNU ends operands with "# comment" or "// comment"; a target may lie in another section.
        operands = re.split(r"\s+(?:#|//)", operands)[0]
        target = None
        if JUMP.match(mnemonic):
            found = re.search(r"(?:^|[\s,])(?:0x)?([0-9a-f]+)\s*(?:<.*>)?$", operands)
            target = int(found[1], 16) if found else None
        current.instructions.append(Instruction(int(match[1], 16), mnemonic, operands, target))
    return functions


def loops(function):
    """Pairs of indices, first and last instruction of each loop."""
    code = function.instructions
    index_of = {instruction.address: i for i, instruction in enumerate(code)}
    found = []
    open_blocks = []  # of WebAssembly
    for i, instruction in enumerate(code):
        if instruction.mnemonic in ("block", "loop", "if", "try"):
            open_blocks.append((instruction.mnemonic, i))
        elif instruction.mnemonic in ("end", "end_block", "end_loop", "end_if") and open_blocks:
            kind, first = open_blocks.pop()
            if kind == "loop":
                found.append((first, i))
        elif instruction.target is not None and instruction.target <= instruction.address:
            first = index_of.get(instruction.target)
            if first is not None:
                found.append((first, i))
    return found


# ---------------------------------------------------------------------------- what it means

def kind_of(instruction):
    if "broadcast" in instruction.mnemonic and reads_memory(instruction):
        return None  # the load itself does it
    return next((name for name, pattern in KINDS if pattern.match(instruction.mnemonic)), None)


def lanes_bytes(instruction):
    """Bytes of the vectors that an instruction works on."""
    if "%zmm" in instruction.operands:
        return 64
    if "%ymm" in instruction.operands:
        return 32
    return 16


def multiply_adds(instruction, kind, has_byte_products):
    """Products that enter the sums by one instruction."""
    name, size = instruction.mnemonic, lanes_bytes(instruction)
    if kind == "float":
        if re.match(r"vfn?m(add|sub)\w*ss|fn?m(add|sub)$", name):
            return 1
        multiplies = re.match(r"vfn?m|v?mulps|fml|fmul|f32x4\.(mul|relaxed_madd)", name)
        return size // 4 if multiplies else 0
    if kind == "bf16 dot":
        return size // 2 if "mmla" not in name else size
    if name.startswith("tdpb"):  # tile 5 holds weights of two superblocks, tile 7 of one
        return TILE if instruction.operands.startswith("%tmm5") else TILE // 2
    if "mmla" in name:
        return 2 * size
    if "maddubsw" in name or "relaxed_dot_i8x16" in name or "dpb" in name or name.endswith("dot"):
        return size
    if "maddwd" in name or "dpw" in name or name.startswith("i32x4.dot_i16x8"):
        return 0 if has_byte_products else size // 2  # else it only adds pairs of sums
    if "mull" in name or "mlal" in name or "extmul" in name:
        return size // 2  # NEON and WebAssembly without dot products: half a register's bytes
    return 0


def wanted_kind(activation):
    """The kind of multiplication that a product with these activations shall consist of."""
    if activation.startswith("fp32"):
        return ("float",)
    if activation.startswith("bf16"):
        return ("bf16 dot", "float")
    return ("integer dot",)


def frame_registers(function):
    """Registers that point into the stack frame, as they appear in operands."""
    frames = [r"\(%rsp", r"\[sp\b"]
    for instruction in function.instructions:
        if instruction.mnemonic == "mov" and instruction.operands.replace(" ", "") == "%rsp,%rbp":
            frames.append(r"\(%rbp")
        if instruction.mnemonic in ("mov", "add") and re.match(r"x29, sp", instruction.operands):
            frames.append(r"\[x29\b")
    return re.compile("|".join(frames))


def reads_memory(instruction):
    name, operands = instruction.mnemonic, instruction.operands
    if re.match(r"ld[rpnu1-4]|v128\.load|i32\.load|f32\.load", name):
        return True
    if "(" not in operands or "%" not in operands or name.startswith(("lea", "prefetch", "nop")):
        return False
    return not operands.endswith(")")  # AT&T: the destination comes last


@dataclass
class HotLoop:
    function: str
    counts: dict  # class → per superblock and token
    multiply_adds: int
    instructions: list


def count(code, kinds_wanted, frame):
    """Multiply-adds of a stretch of code, and instructions by class."""
    kinds = [kind_of(instruction) for instruction in code]
    has_bytes = any(re.search(r"maddubsw|dpb|dot_i8x16", i.mnemonic) for i in code)
    for wanted in kinds_wanted:
        work = [multiply_adds(i, k, has_bytes) if k == wanted else 0 for i, k in zip(code, kinds)]
        if sum(work):
            break
    counts = dict.fromkeys(CLASSES, 0)
    for instruction, kind, products in zip(code, kinds, work):
        counts["total"] += 1
        counts["load"] += reads_memory(instruction)
        counts["stack"] += bool(frame.search(instruction.operands))
        if products:
            counts["dot"] += 1
        elif kind in ("integer dot", "bf16 dot"):
            counts["convert"] += 1  # pairs of sums to wider sums
        elif kind == "float" and kinds_wanted[0] != "integer dot":
            counts["float"] += 1
        elif kind:
            counts[kind] += 1
    return sum(work), counts


def passes(code, key):
    """How often a loop multiplies each weight with each token: with both halves of 16-bit
    activations; by halves of 8-bit codes where sums of pairs have 16 bits."""
    halves = 2 if "| int16" in key else 1
    by_halves = key.startswith("W8 ") and any("maddubsw" in i.mnemonic for i in code)
    return 2 * halves if by_halves else halves


def hot_loop(function, kinds_wanted, key=""):
    """The hot loop of a function, or None if none multiplies as it shall."""
    frame = frame_registers(function)
    multiplying = []
    all_loops = loops(function)
    if key.startswith("stretch"):  # whose scale steps are multiply-adds around loops of additions
        all_loops = [
            a for a in all_loops
            if function.instructions[a[1]].mnemonic not in ("jmp", "b")  # back from a cold block
            and not any(a != b and a[0] <= b[0] and b[1] <= a[1] for b in all_loops)]
    for first, last in all_loops:
        code = function.instructions[first:last + 1]
        work, counts = count(code, kinds_wanted, frame)
        if work:
            multiplying.append((first, last, work, counts, code))
    innermost = [a for a in multiplying
                 if not any(b is not a and a[0] <= b[0] and b[1] <= a[1]
                            and (b[0], b[1]) != (a[0], a[1]) for b in multiplying)]
    if not innermost:
        return None
    # A path through scale steps alone may multiply as much as the chains do, not as densely.
    weight = (lambda a: a[2] / len(a[4])) if key.startswith("stretch") else (lambda a: a[2])
    _, _, work, counts, code = max(innermost, key=weight)
    work /= passes(code, key)
    scale = (TILE if key.startswith("tiles") else SUPERBLOCK) / work
    return HotLoop(function.name, {c: n * scale for c, n in counts.items()}, work, code)


# ---------------------------------------------------------------------------- names

def template_arguments(name, opening):
    """The top-level template arguments that begin behind the bracket at `opening`."""
    depth, start, arguments = 0, opening + 1, []
    for i in range(opening, len(name)):
        if name[i] in "<({":
            depth += 1
        elif name[i] in ">)}":
            depth -= 1
        if (name[i] == "," and depth == 1) or depth == 0:
            arguments.append(name[start:i].strip())
            start = i + 1
        if depth == 0:
            break
    return arguments


def shortened(argument):
    """Without namespaces, suffixes of numbers and superfluous spaces."""
    argument = re.sub(r"\b(?:\w+::)+", "", argument)
    argument = re.sub(r"\b(\d+)[ul]+\b", r"\1", argument)
    argument = re.sub(r"\(\w[\w ]*\)(\d)", r"\1", argument)
    return argument.replace(" >", ">").replace("> >", ">>")


def operands_of(shape):
    """What a stretch_shape{…} says, of whose fields compilers leave out zeros at the end."""
    fields = template_arguments(shape, shape.index("{"))
    said = [field in ("true", "1") for field in fields[:6]] + [False] * 6
    whole_rows, cut, minimum, zero_point, _, per_block = said[:6]
    excess = fields[6] if len(fields) > 6 else "0"
    words = ["operands of " + ("rows" if whole_rows else "cut steps" if cut else "steps")]
    words += ["minimum"] * minimum + ["zero point"] * zero_point + ["scale per block"] * per_block
    return ", ".join(words + ([] if zero_point else [f"excess {excess}"]))


def tiles_of(shape):
    """What an amx_shape{…} says, of whose fields compilers leave out zeros at the end."""
    fields = template_arguments(shape, shape.index("{"))
    fields += ["0"] * (7 - len(fields))
    cut, signed, doubled, zero_point, offset, minimum, per_block = fields
    said = [("signed", signed), ("doubled", doubled), ("zero point", zero_point),
            ("minimum", minimum), ("scale per block", per_block)]
    words = ["tiles of " + ("cut steps" if cut in ("true", "1") else "steps")]
    words += [word for word, field in said if field in ("true", "1")]
    return ", ".join(words + ([] if offset == "0" else [f"offset {offset}"]))


def key_of(name):
    """(key, activation) of a kernel's function, or None for other functions: what its template
    arguments say, whatever their number: scheme, activation, then numbers (tokens, panels, and tiles
    of as many tokens if they are several). Of a part of a stretch not which part it is."""
    match = re.search(r"(\w+)<(?:\w+::)*scheme<", name)
    if match:
        arguments = [shortened(a) for a in template_arguments(name, match.end(1))]
        inside = template_arguments(arguments[0], arguments[0].index("<"))
        what = re.sub(r"^int_code<(\d)>$", r"W\1", inside[0]) + " " + " ".join(inside[1:])
    else:
        match = re.search(r"(multiply_stretch|multiply_operands|multiply_amx)<", name)
        if not match:
            return None
        arguments = [shortened(a) for a in template_arguments(name, match.end(1))]
        if match[1] == "multiply_stretch":
            long_steps, has_minimum = [a in ("true", "1") for a in arguments[1:3]]
            what = "stretch of " + ("long" if long_steps else "short") + " steps"
            what += ", minimum" if has_minimum else ""
            panels, _, decoded = arguments[-3:]
            what += f", of {decoded} panels" if decoded != panels else ""
            del arguments[1:3], arguments[-2:]
        elif match[1] == "multiply_amx":
            what = tiles_of(arguments.pop(1))
        else:
            what = operands_of(arguments.pop(1))
            del arguments[-1]
    activation = next((a for a in arguments if re.match(r"int8|int16|bf16|fp32", a)), "")
    numbers = [a for a in arguments if re.fullmatch(r"-?\d+|true|false", a)]
    if len(numbers) == 3 and numbers[2] == "1":
        del numbers[2]
    key = " | ".join([what, activation] + [" x ".join(numbers)] * bool(numbers))
    return key if match[1] in KERNELS else f"{key} | {match[1]}", activation


def disassemble(objdump, path):
    command = [objdump, "-d", "-C", "--no-show-raw-insn", str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def kernels(functions):
    """key → HotLoop, or None where a kernel has none; functions of other kinds only if they have."""
    found = {}
    for function in functions:
        named = key_of(function.name)
        if named is None:
            continue
        key, activation = named
        loop = hot_loop(function, wanted_kind(activation), key)
        is_kernel = any(f"::{kernel}<" in function.name for kernel in KERNELS)
        if loop is None and not (is_kernel and key not in found):
            continue
        known = found.get(key)
        if known is None or (loop and loop.multiply_adds > known.multiply_adds):
            found[key] = loop
    return found
