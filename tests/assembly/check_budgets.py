#!/usr/bin/env python3
"""Compares the hot loops of compiled product kernels with tests/assembly/budgets.json.

    check_budgets.py --isa ISA --compiler NAME [--objdump TOOL] OBJECT
                                                         reports what exceeds its budget
    check_budgets.py … --show REGEX                      prints the hot loops whose names match
    check_budgets.py … --update                          writes the counts as new budgets
    check_budgets.py --skip REASON                       says why nothing is compared, and skips
    check_budgets.py --self-test                         feeds itself dumps that must fail

Compilers have tables of their own, because what one can do does not excuse the other; where there is
none, only that every kernel has a hot loop is checked. Each kernel has a line: scheme | activations |
tokens x panels, or tokens x panels x tiles at once, and the most instructions of each class per
superblock and token that its hot loop may have. docs/assembly.md explains the classes.
A kernel fails if a class exceeds its budget, if it has no hot loop, or if it has no budget.
"""
import argparse
import contextlib
import fcntl
import json
import math
import pathlib
import re
import sys

import hot_loops

BUDGETS = pathlib.Path(__file__).with_name("budgets.json")
SKIPPED = 4  # what CTest is told to take for a skipped test


def as_text(counts):
    return " ".join(f"{name} {counts[name]:g}" for name in hot_loops.CLASSES)


def from_text(text):
    words = text.split()
    return {name: float(number) for name, number in zip(words[::2], words[1::2])}


def rounded_up(counts):
    """Budgets in steps of a quarter: what less than that is worth is noise between compilers."""
    return {name: math.ceil(round(4 * number, 6)) / 4 for name, number in counts.items()}


def compare(kernels, budgets):
    """Messages about every kernel that is not within its budget."""
    messages = without_hot_loop(kernels)
    for key in sorted(budgets.keys() - kernels.keys()):
        messages.append(f"{key}: not found; there is a budget for it")
    for key, loop in sorted(kernels.items()):
        if loop is None:
            continue
        if key not in budgets:
            messages.append(f"{key}: has no budget; counted: {as_text(rounded_up(loop.counts))}")
            continue
        allowed = from_text(budgets[key])
        for name in hot_loops.CLASSES:
            if loop.counts[name] > allowed.get(name, 0) + 1e-6:
                messages.append(f"{key}: {name} {loop.counts[name]:.2f} per superblock and token, "
                                f"budget {allowed.get(name, 0):g}")
    return messages


def without_hot_loop(kernels):
    return [f"{key}: no hot loop: nothing in it multiplies as the instruction set can"
            for key, loop in sorted(kernels.items()) if loop is None]


def annotated(loop):
    """A hot loop as text, the class of each instruction before it."""
    lines = [f"    {as_text(rounded_up(loop.counts))} per superblock and token, "
             f"{loop.multiply_adds} multiply-adds in the loop"]
    for instruction in loop.instructions:
        kind = hot_loops.kind_of(instruction) or ""
        memory = "load" if hot_loops.reads_memory(instruction) else ""
        lines.append(f"    {instruction.address:6x}  {kind:12} {memory:5} "
                     + instruction.text.split(" <")[0])
    return "\n".join(lines)


@contextlib.contextmanager
def locked():
    """Several instruction sets may be updated at once, and share the file."""
    with BUDGETS.open(encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def update(table, kernels):
    lost = without_hot_loop(kernels)
    if lost:
        print("\n".join(lost))
        return 1
    with locked():
        all_budgets = json.loads(BUDGETS.read_text(encoding="utf-8"))
        all_budgets[table] = {key: as_text(rounded_up(loop.counts))
                              for key, loop in sorted(kernels.items())}
        text = json.dumps(dict(sorted(all_budgets.items())), indent=1)
        BUDGETS.write_text(text + "\n", encoding="utf-8")
    return 0


def check(arguments):
    all_budgets = json.loads(BUDGETS.read_text(encoding="utf-8"))
    table = f"{arguments.isa}, {arguments.compiler}"
    dump = hot_loops.disassemble(arguments.objdump, arguments.object)
    kernels = hot_loops.kernels(hot_loops.parse(dump))
    if not kernels:
        print(f"{arguments.object}: no kernel found; are {' and '.join(hot_loops.KERNELS)} still called so?")
        return 1
    if arguments.show:
        for key, loop in sorted(kernels.items()):
            if loop and re.search(arguments.show, key):
                print(f"{key}\n{annotated(loop)}\n")
        return 0
    if arguments.update:
        return update(table, kernels)
    if table not in all_budgets:
        messages = without_hot_loop(kernels)
        print("\n".join([*messages, f"SKIPPED: no budgets for {table}; hot loops of {len(kernels)} "
                         f"kernels were looked for, {len(messages)} are missing"]))
        return 1 if messages else SKIPPED
    messages = compare(kernels, all_budgets[table])
    for message in messages:
        print(f"{table}: {message}")
    print(f"{table}: {len(kernels)} kernels, {len(messages)} complaints")
    return 1 if messages else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("object", nargs="?")
    parser.add_argument("--isa")
    parser.add_argument("--compiler", help="with its major version, such as g++ 12")
    parser.add_argument("--objdump", default="objdump")
    parser.add_argument("--show", metavar="REGEX")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--skip", metavar="REASON")
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.skip:
        print(f"SKIPPED: {arguments.skip}")
        return SKIPPED
    if arguments.self_test:
        import self_test
        problems = self_test.run(compare)
        for problem in problems:
            print(problem)
        return 1 if problems else 0
    if not arguments.object or not arguments.isa or not arguments.compiler:
        parser.error("--isa, --compiler and an object, please")
    return check(arguments)


if __name__ == "__main__":
    sys.exit(main())
