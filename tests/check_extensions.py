#!/usr/bin/env python3
"""Checks that what Microsoft's compiler reads of the headers is no extension of other compilers.

    check_extensions.py COMPILER ROOT   preprocesses the headers of ROOT/include with the macros of
                                        Microsoft's compiler alone, for each of its architectures
    check_extensions.py COMPILER --self-test

COMPILER is g++ or clang++, which does nothing but preprocess; of other libraries' headers it sees
empty files. (Extensions without a word of their own are found by -Wpedantic of clang++.)
"""
import pathlib
import re
import subprocess
import sys
import tempfile

WORDS = re.compile(r"__attribute__|__builtin_(?!bit_cast\b)\w+|__asm__|\basm\b|__extension__|"
                   r"__restrict__|__int128|__typeof__|\btypeof\b|_Pragma\s*\(\s*\"(?:GCC|clang)|"
                   r"__m(?:128|256|512)[id]?_u\b|__PRETTY_FUNCTION__|__has_\w+\s*\(")
# __builtin_bit_cast is Microsoft's name, too.
HEADERS = re.compile(r"^[ \t]*#[ \t]*include[ \t]*<([^>]+)>", re.MULTILINE)
COMMON = ["_MSC_VER=1930", "_MSC_FULL_VER=193000000", "_MSVC_LANG=202002L", "__cplusplus=202002L",
          "_WIN32=1", "_WIN64=1", "__cpp_exceptions=199711L", "_CPPUNWIND=1"]
X64 = ["_M_X64=100", "_M_AMD64=100"]
TARGETS = {
    "x64": X64,
    "x64 /arch:AVX2": [*X64, "__AVX__=1", "__AVX2__=1"],
    "arm64": ["_M_ARM64=1"],
    "x86 /arch:SSE2": ["_M_IX86=600", "_M_IX86_FP=2"],
}


def preprocessed(compiler, headers, macros, folders):
    """Header and line, of what is left of all headers; what the preprocessor complains of."""
    command = [compiler, "-E", "-std=c++20", "-undef", "-nostdinc", "-x", "c++",
               *[f"-D{macro}" for macro in macros], *[f"-I{folder}" for folder in folders], "-"]
    text = "".join(f"#include <{header}>\n" for header in headers)
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    lines, file = [], ""
    for line in done.stdout.splitlines():
        marker = re.match(r'# \d+ "(.*?)"', line)
        if marker:
            file = marker[1]
        else:
            lines.append((file, line))
    return lines, [line for line in done.stderr.splitlines() if "error:" in line]


def check(compiler, include):
    """Problems of the headers under a folder."""
    headers = {str(header.relative_to(include)): header.read_text(encoding="utf-8")
               for header in sorted(include.rglob("*.hpp"))}
    with tempfile.TemporaryDirectory() as stubs:
        for text in headers.values():
            for name in set(HEADERS.findall(text)) - set(headers):
                stub = pathlib.Path(stubs, name)
                stub.parent.mkdir(parents=True, exist_ok=True)
                stub.touch()
        for target, macros in TARGETS.items():
            lines, errors = preprocessed(compiler, headers, COMMON + macros, [include, stubs])
            yield from (f"{target}: {error}" for error in errors)
            found = {(file, word) for file, line in lines for word in WORDS.findall(line)}
            yield from (f"{target}: {file}: {word}" for file, word in sorted(found))
            if not {file for file, _ in lines if file.startswith(str(include))}:
                yield f"{target}: {compiler} shows no header"


SELF_TEST = {
    "good.hpp": "#include <vector>\n#if defined(__GNUC__)\n#define LOUD __attribute__((noinline))\n"
                "#else\n#define LOUD\n#endif\nLOUD int f();\n",
    "attribute.hpp": "__attribute__((noinline)) int f();\n",
    "asm.hpp": "#include \"good.hpp\"\n#if defined(_M_ARM64)\ninline void f() { __asm__(\"\"); }\n#endif\n",
    "error.hpp": "#if defined(__AVX2__) && !defined(__FMA__)\n#error no\n#endif\n",
}
SELF_TEST_PROBLEMS = {"attribute.hpp": 4, "asm.hpp": 1, "error.hpp": 1}


def self_test(compiler):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in SELF_TEST.items():
            pathlib.Path(folder, name).write_text(text, encoding="utf-8")
        found = list(check(compiler, pathlib.Path(folder)))
    for name in SELF_TEST:
        count = sum(f"/{name}:" in problem for problem in found)
        if count != SELF_TEST_PROBLEMS.get(name, 0):
            yield f"self-test: {count} problems of {name}: {found}"


def main(arguments):
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    compiler, root = arguments
    problems = list(self_test(compiler) if root == "--self-test"
                    else check(compiler, pathlib.Path(root, "include")))
    print("\n".join(problems) or "no extensions outside of guards")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
