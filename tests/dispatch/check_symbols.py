#!/usr/bin/env python3
"""Checks the symbols of kernel objects that are to be linked into one program.

    check_symbols.py NM renamed SUFFIX BEFORE... -- AFTER...
                                                  in the objects AFTER, what the linker merges ends in
                                                  SUFFIX, and nothing but tables of kernels is defined
                                                  for others; in each BEFORE it is not so, for else
                                                  there was nothing to rename
    check_symbols.py NM apart ARCHIVE ARCHIVE...  no two define one symbol of the library
"""
import itertools
import re
import subprocess
import sys

# Type information has no code; its names are what exceptions are caught by.
TYPE_INFORMATION = re.compile(r"_ZT[IS]")
# Of quant::core_detail, for any version and configuration.
TABLES = re.compile(r"_ZN5quant\w*11core_detail1[01](?:kernels_for|all_kernels)I")
LIBRARY = re.compile(r"_Z\w*?5quant\d+v\d")


def symbols(nm, file):
    """Type and name of each symbol that a file defines."""
    listed = subprocess.run([nm, "-p", file], check=True, capture_output=True, text=True).stdout
    for line in listed.splitlines():
        match = re.match(r"[0-9a-f]+ (\S) (\S+)$", line)
        if match and match[1] not in "Uwv":
            yield match[1], match[2]


def is_merged(kind, name):
    """Weak, unique, or the name of a group of sections."""
    return kind in "WVu" or (kind == "n" and name.startswith("_Z"))


def wrongly_named(nm, suffix, file):
    """Names that another object may define as well."""
    for kind, name in symbols(nm, file):
        if is_merged(kind, name):
            if not name.endswith(suffix) and not TYPE_INFORMATION.match(name):
                yield f"{file}: {kind} {name}"
        elif kind.isupper() and not TABLES.match(name):
            yield f"{file}: {kind} {name}"


def check_renamed(nm, suffix, files):
    """Problems of objects before `--` and after it."""
    before, after = files[:files.index("--")], files[files.index("--") + 1:]
    if len(before) != len(after):
        yield f"{len(before)} objects became {len(after)}"
    for file in before:
        if not list(wrongly_named(nm, suffix, file)):
            yield f"{file}: nothing was to be renamed"
    for file in after:
        yield from wrongly_named(nm, suffix, file)


def shared_names(nm, files):
    """Names of the library that two files define."""
    defined = [{name for kind, name in symbols(nm, file)
                if kind in "WVuTDBR" and LIBRARY.match(name)} for file in files]
    for (a, names), (b, others) in itertools.combinations(zip(files, defined), 2):
        if not names or not others:
            yield f"{a if not names else b} defines nothing of the library"
        for name in sorted(names & others):
            yield f"{a}, {b}: {name}"


def main(arguments):
    nm, what, *rest = arguments if len(arguments) > 3 else ("", "")
    if what == "renamed" and "--" in rest[1:]:
        problems = list(check_renamed(nm, rest[0], rest[1:]))
    elif what == "apart":
        problems = list(shared_names(nm, rest))
    else:
        print(__doc__, file=sys.stderr)
        return 2
    print("\n".join(problems) or "all symbols are as they should be")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
