#!/usr/bin/env python3
"""Checks that the library is whole without exceptions.

    check_try_forms.py ROOT          reports every violation of the tree under ROOT
    check_try_forms.py --self-test   feeds itself headers that violate each rule

The rules, for the headers of include/quant but those of core/, which hold the means to throw:
  forms   a public function that is declared under `#if QUANT_HAS_EXCEPTIONS` has a form try_name in
          the same folder, a constructor one of the name try_from;
  tests   each public try_name stands in tests/unit/no_exceptions.cpp.
"""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "docs"))
from check_docs import public_names  # noqa: E402

THROWING = re.compile(r"^#if QUANT_HAS_EXCEPTIONS$(.*?)^#(?:else|endif)", re.MULTILINE | re.DOTALL)


def missing_forms(text, declared):
    """The functions of a header that throw, and the names of their other forms, unless declared."""
    types = set(re.findall(r"\b(?:class|struct) (?:\[\[\w+\]\] )?(\w+)", text))
    for block in THROWING.findall(text):
        functions, _ = public_names(block)
        for name in functions:
            form = "try_from" if name in types else f"try_{name}"
            if form not in declared:
                yield name, form


def try_forms(text):
    names, members = public_names(text)
    return {name for name in names | members if name.startswith("try_")}


def check(headers, tested):
    """headers: name → text; tested: the text of the test."""
    called = set(re.findall(r"\btry_\w+", tested))
    in_folder = {}
    for header, text in headers.items():
        in_folder.setdefault(header.rpartition("/")[0], set()).update(try_forms(text))
    for header, text in headers.items():
        for name, form in sorted(missing_forms(text, in_folder[header.rpartition("/")[0]])):
            yield f"{header}: {name} throws, and there is no {form}"
        for name in sorted(try_forms(text) - called):
            yield f"{header}: {name} is not in tests/unit/no_exceptions.cpp"


SELF_TEST_HEADER = """
namespace quant::inline QUANT_ABI {
class box {
public:
    static result<box> try_from(int) noexcept { return box(); }
    result<int> try_open(int) const noexcept { return 1; }
#if QUANT_HAS_EXCEPTIONS
    explicit box(int) {}
    [[nodiscard]] int open(int how) const { return try_open(how).value(); }
#endif
};
template <class T>
[[nodiscard]] result<T> try_make(T from) noexcept { return from; }
#if QUANT_HAS_EXCEPTIONS
/// As try_make. @throws quant::error
template <class T>
[[nodiscard]] T make(T from) { return try_make(from).value(); }
#endif
}
"""


def self_test():
    tested = "box::try_from(1)->try_open(2); try_make<int>(3);"
    assert list(check({"a.hpp": SELF_TEST_HEADER}, tested)) == []
    for old, new, message in [
            ("> try_make(T", "> do_make(T", "make throws, and there is no try_make"),
            ("try_open(int)", "opened(int)", "open throws, and there is no try_open"),
            (" try_from(int)", " from(int)", "box throws, and there is no try_from")]:
        assert old in SELF_TEST_HEADER
        found = list(check({"a.hpp": SELF_TEST_HEADER.replace(old, new)}, tested))
        assert [f"a.hpp: {message}"] == found, (message, found)
    found = list(check({"a.hpp": SELF_TEST_HEADER}, tested.replace("try_open", "open")))
    assert found == ["a.hpp: try_open is not in tests/unit/no_exceptions.cpp"], found
    print("self-test passed")


def main():
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return 0
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    root = pathlib.Path(sys.argv[1])
    include = root / "include/quant"
    headers = {path.relative_to(include).as_posix(): path.read_text(encoding="utf-8")
               for path in sorted(include.rglob("*.hpp"))
               if path.relative_to(include).parts[0] != "core"}
    problems = list(check(headers, (root / "tests/unit/no_exceptions.cpp").read_text("utf-8")))
    print("\n".join(problems) if problems else "what throws has forms that do not, and tests of them")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
