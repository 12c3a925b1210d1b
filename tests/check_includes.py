#!/usr/bin/env python3
"""Checks that the includes of include/quant point only downward.

    check_includes.py ROOT          reports every violation of the tree under ROOT
    check_includes.py --self-test   feeds itself a tree that violates each rule

The rules are the folder table of the design: a folder includes itself and what MAY_INCLUDE grants;
raw intrinsics headers appear under simd/ alone, xsimd under simd/ alone too; reference/ defines
what results mean and is included by tests only; the umbrella quant.hpp leaves out what is opt-in.
"""
import pathlib
import re
import sys
import tempfile

MAY_INCLUDE = {
    "core": set(),
    "policy": {"core"},
    "reference": {"core", "policy"},
    "simd": {"core"},
    "calibrate": {"core", "policy", "simd"},
    "quantize": {"core", "policy", "simd", "calibrate"},
    "pack": {"core", "policy", "simd", "calibrate", "quantize"},
    "kernel": {"core", "policy", "simd", "calibrate", "quantize", "pack"},
    "qat": {"core", "policy", "simd", "calibrate", "quantize", "pack", "kernel"},
    "ptq": {"core", "policy", "simd", "calibrate", "quantize"},
    "io": {"core", "policy", "simd", "calibrate", "quantize", "pack"},
}
# Headers directly in include/quant, and what they may include.
TOP_LEVEL = {
    "quant.hpp": {"core", "policy", "simd", "calibrate", "quantize", "pack", "kernel", "qat"},
    "dispatch.hpp": {"core", "simd"},
}
# Library code beside the headers: programs may include every header but the reference.
PROGRAM_FOLDERS = ("examples", "benchmarks")

INTRINSICS = re.compile(
    r"^(?:[a-z0-9]*intrin|arm_neon|arm_sve|arm_acle|arm_fp16|arm_bf16|wasm_simd128|altivec"
    r"|riscv_vector|cpuid)\.h$"
)
XSIMD = re.compile(r"^xsimd(?:/|\.hpp$)")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def includes_of(path):
    """Line number, delimiter and target of each #include, outside of block comments."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/", lambda match: "\n" * match[0].count("\n"), text, flags=re.DOTALL)
    for number, line in enumerate(text.splitlines(), start=1):
        match = INCLUDE.match(line)
        if match:
            yield number, match[1], match[2]


def quant_path(header, included, delimiter, include_dir):
    """The included header's path below include/quant, or None if it is not one of ours."""
    if included.startswith("quant/"):
        return pathlib.PurePosixPath(included).relative_to("quant")
    if delimiter == '"':
        target = (header.parent / included).resolve()
        if target.is_relative_to(include_dir.resolve()):
            return pathlib.PurePosixPath(target.relative_to(include_dir.resolve()).as_posix())
    return None


def check_header(header, include_dir):
    """Messages about one header below include/quant."""
    place = pathlib.PurePosixPath(header.relative_to(include_dir).as_posix())
    folder = place.parts[0] if len(place.parts) > 1 else None
    if folder is None and place.name not in TOP_LEVEL:
        yield 1, "is directly in include/quant, where only " + ", ".join(TOP_LEVEL) + " belong"
        return
    if folder is not None and folder not in MAY_INCLUDE:
        yield 1, f"is in {folder}/, which the folder table does not have"
        return
    allowed = TOP_LEVEL[place.name] if folder is None else MAY_INCLUDE[folder] | {folder}
    name = place.name if folder is None else f"{folder}/"

    for number, delimiter, included in includes_of(header):
        if INTRINSICS.match(included):
            if folder != "simd":
                yield number, f"{included}: intrinsics belong under simd/ alone"
            continue
        if XSIMD.match(included):
            if folder != "simd":
                yield number, f"{included}: xsimd belongs under simd/ alone"
            continue
        target = quant_path(header, included, delimiter, include_dir)
        if target is None:
            continue
        if len(target.parts) == 1:
            yield number, f"{name} must not include {target}, which is above it"
        elif target.parts[0] not in allowed:
            yield number, f"{name} must not include {target.parts[0]}/ ({target})"


def check_program(source):
    """Messages about one source file of the examples or benchmarks."""
    for number, _, included in includes_of(source):
        if included.startswith("quant/reference/"):
            yield number, f"{included}: reference/ is included by tests only"


def check_tree(root):
    """All messages about the tree, as `file:line: text`."""
    messages = []
    include_dir = root / "include" / "quant"
    for header in sorted(include_dir.rglob("*.hpp")):
        for line, text in check_header(header, include_dir):
            messages.append(f"{header.relative_to(root)}:{line}: {text}")
    for folder in PROGRAM_FOLDERS:
        for source in sorted((root / folder).rglob("*.?pp")):
            for line, text in check_program(source):
                messages.append(f"{source.relative_to(root)}:{line}: {text}")
    return messages


# A tree for the self-test: file, content, and the messages' parts that are expected, in order.
SELF_TEST = [
    ("include/quant/core/a.hpp", "#include <cstdint>\n#include <quant/core/b.hpp>\n", []),
    ("include/quant/core/b.hpp", "// #include <quant/kernel/k.hpp>\n", []),
    ("include/quant/core/c.hpp", "/*\n#include <xsimd/xsimd.hpp>\n*/\n", []),
    ("include/quant/core/up.hpp", '\n#include "quant/policy/p.hpp"\n',
     [":2: core/ must not include policy/"]),
    ("include/quant/core/relative.hpp", '#include "../kernel/k.hpp"\n',
     [":1: core/ must not include kernel/"]),
    ("include/quant/core/umbrella.hpp", "#include <quant/quant.hpp>\n",
     [":1: core/ must not include quant.hpp"]),
    ("include/quant/core/vector.hpp", "#include <xsimd/xsimd.hpp>\n#  include <immintrin.h>\n",
     [":1: xsimd/xsimd.hpp", ":2: immintrin.h"]),
    ("include/quant/policy/p.hpp", "#include <quant/simd/s.hpp>\n",
     [":1: policy/ must not include simd/"]),
    ("include/quant/reference/r.hpp",
     "#include <quant/policy/p.hpp>\n#include <quant/quantize/q.hpp>\n",
     [":2: reference/ must not include quantize/"]),
    ("include/quant/simd/s.hpp",
     "#include <quant/core/a.hpp>\n#include <immintrin.h>\n#include <arm_neon.h>\n"
     "#include <wasm_simd128.h>\n#include <xsimd/xsimd.hpp>\n#include <quant/policy/p.hpp>\n",
     [":6: simd/ must not include policy/"]),
    ("include/quant/calibrate/c.hpp",
     "#include <quant/simd/s.hpp>\n#include <quant/quantize/q.hpp>\n",
     [":2: calibrate/ must not include quantize/"]),
    ("include/quant/quantize/q.hpp",
     "#include <quant/calibrate/c.hpp>\n#include <quant/reference/r.hpp>\n",
     [":2: quantize/ must not include reference/"]),
    ("include/quant/pack/p.hpp",
     "#include <quant/quantize/q.hpp>\n#include <quant/kernel/k.hpp>\n#include <emmintrin.h>\n",
     [":2: pack/ must not include kernel/", ":3: emmintrin.h"]),
    ("include/quant/kernel/k.hpp",
     "#include <quant/pack/p.hpp>\n#include <quant/qat/q.hpp>\n#include <arm_sve.h>\n",
     [":2: kernel/ must not include qat/", ":3: arm_sve.h"]),
    ("include/quant/qat/q.hpp",
     "#include <quant/kernel/k.hpp>\n#include <quant/io/i.hpp>\n",
     [":2: qat/ must not include io/"]),
    ("include/quant/io/i.hpp",
     "#include <quant/pack/p.hpp>\n#include <quant/kernel/k.hpp>\n",
     [":2: io/ must not include kernel/"]),
    ("include/quant/ptq/g.hpp",
     "#include <quant/quantize/q.hpp>\n#include <quant/pack/p.hpp>\n",
     [":2: ptq/ must not include pack/"]),
    ("include/quant/quant.hpp",
     "#include <quant/qat/q.hpp>\n#include <quant/io/i.hpp>\n#include <quant/ptq/g.hpp>\n"
     "#include <quant/dispatch.hpp>\n#include <quant/reference/r.hpp>\n",
     [":2: quant.hpp must not include io/", ":3: quant.hpp must not include ptq/",
      ":4: quant.hpp must not include dispatch.hpp",
      ":5: quant.hpp must not include reference/"]),
    ("include/quant/dispatch.hpp",
     "#include <quant/simd/isa.hpp>\n#include <quant/kernel/k.hpp>\n",
     [":2: dispatch.hpp must not include kernel/"]),
    ("include/quant/stray.hpp", "", [":1: is directly in include/quant"]),
    ("include/quant/util/u.hpp", "", [":1: is in util/"]),
    ("examples/e.cpp", "#include <quant/quant.hpp>\n#include <quant/reference/r.hpp>\n",
     [":2: quant/reference/r.hpp"]),
    ("tests/t.cpp", "#include <quant/reference/r.hpp>\n", []),
]


def self_test():
    """Problems of the checker itself."""
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, content, _ in SELF_TEST:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        messages = check_tree(root)
    for name, _, expected in SELF_TEST:
        own = [message for message in messages if message.startswith(name + ":")]
        if len(own) != len(expected):
            problems.append(f"{name}: expected {expected}, got {own}")
            continue
        for message, part in zip(own, expected):
            if not message.startswith(name + part):
                problems.append(f"{name}: expected {part!r}, got {message!r}")
    return problems


def main(arguments):
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    if arguments[0] == "--self-test":
        problems = self_test()
    else:
        root = pathlib.Path(arguments[0])
        if not (root / "include" / "quant").is_dir():
            print(f"{root} has no include/quant", file=sys.stderr)
            return 2
        problems = check_tree(root)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
