#!/usr/bin/env python3
"""Checks the documentation against the sources.

    check_docs.py ROOT          reports every violation of the tree under ROOT
    check_docs.py --names ROOT  lists the public names of each header
    check_docs.py --self-test   feeds itself a tree that violates each rule

The rules:
  names     docs/api.md has a section "### `quant/…hpp`" for each header that declares public names:
            everything in namespace quant but what lies in detail, core_detail, simd, reference; macros
            QUANT_… that are not QUANT_DETAIL_…. The first column of the section's tables lists
            exactly the header's names. Public members are named in its section.
  code      each ```cpp block of README.md and docs/*.md stands in a source that is compiled: blocks
            with `int main` are a whole file of examples/, byte for byte; others stand, line for line
            but for indentation, in a source of examples/ or in tests/docs/*.cpp.
  links     links to files and headings within the repository lead somewhere.
"""
import pathlib
import re
import sys
import tempfile

PRIVATE_NAMESPACES = {"detail", "core_detail", "simd", "reference"}
TOKEN = re.compile(r"[A-Za-z_]\w*|::|->|\[\[|\]\]|\.\.\.|[{}()<>\[\];:,=~]|[^\s\w]|\d[\w.']*")
KEYWORDS_BEFORE_NAME = {"class", "struct", "union", "enum"}


def without_comments(text):
    """The text with comments, strings and character literals blanked."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', re.DOTALL)
    return pattern.sub(lambda m: "\n" * m[0].count("\n") if m[0][0] == "/" else '""', text)


def split_macros(text):
    """The names of public macros, and the text without preprocessor lines."""
    macros, kept, continued = [], [], False
    for line in text.split("\n"):
        if continued or line.lstrip().startswith("#"):
            match = re.match(r"\s*#\s*define\s+(QUANT_(?!DETAIL_)\w+)", line)
            if match and not continued:
                macros.append(match[1])
            continued = line.endswith("\\")
        else:
            kept.append(line)
    return macros, "\n".join(kept)


def skip_balanced(tokens, i, opening, closing):
    """The index after the bracket that closes the one at i."""
    depth = 0
    while i < len(tokens):
        depth += (tokens[i] == opening) - (tokens[i] == closing)
        i += 1
        if depth == 0:
            return i
    return i


def skip_template_head(tokens):
    """The tokens after `template <…>` and a requires clause, as far as they matter for a name."""
    while tokens[:1] == ["template"]:
        depth, i = 0, 1
        while i < len(tokens):
            if tokens[i] in ("(", "{"):
                i = skip_balanced(tokens, i, tokens[i], {"(": ")", "{": "}"}[tokens[i]])
                continue
            depth += (tokens[i] == "<") - (tokens[i] == ">")
            i += 1
            if depth == 0:
                break
        tokens = tokens[i:]
        if tokens[:1] == ["requires"]:
            i = 1
            if tokens[1:2] == ["("]:
                i = skip_balanced(tokens, 1, "(", ")")
            elif tokens[1:3] == ["requires", "("]:  # requires requires (…) {}
                i = skip_balanced(tokens, 2, "(", ")") + 1
            else:  # a concept's name with its arguments
                while i < len(tokens) and tokens[i] != ">":
                    i += 1
                i += 1
            tokens = tokens[i:]
            while tokens[:2] == ["&", "&"]:  # `requires A && (…)`
                i = 2
                while i < len(tokens) and tokens[i] != "(":
                    i += 1
                tokens = tokens[skip_balanced(tokens, i, "(", ")"):]
    return tokens


def declared_name(tokens):
    """(name, kind) of a declaration without its body; kind is "type" if its body has members."""
    tokens = skip_template_head([t for t in tokens if t != "inline"])
    while "[[" in tokens and "]]" in tokens:
        first = tokens.index("[[")
        tokens = tokens[:first] + tokens[tokens.index("]]", first) + 1:]
    if not tokens or tokens[0] == "{}" or tokens[0] in ("static_assert", "friend", "extern", "namespace"):
        return None, None
    if tokens[0] in ("concept", "using"):
        is_alias = len(tokens) > 2 and tokens[2] == "="
        return (tokens[1], "other") if is_alias else (None, None)
    if "operator" in tokens:
        return None, None
    if tokens[0] in KEYWORDS_BEFORE_NAME:
        rest = [t for t in tokens[1:] if t not in KEYWORDS_BEFORE_NAME]
        if not rest:
            return None, None
        return rest[0], "enum" if tokens[0] == "enum" else "type"
    depth = 0
    for i, token in enumerate(tokens):
        if token == "decltype":
            continue
        if token == "(" and depth == 0 and i > 0:
            if re.match(r"[A-Za-z_]\w*$", tokens[i - 1]) and tokens[i - 1] not in (
                    "decltype", "requires", "noexcept", "explicit", "alignas"):
                if tokens[i - 2:i - 1] == ["::"]:  # a member, declared in its class
                    return None, None
                return tokens[i - 1], "function"
        if token in ("=", "{}") and depth == 0 and i > 0:
            break
        depth += (token == "<") - (token == ">")
    else:
        i = len(tokens)
    # A variable: the last identifier, before template arguments of a specialization.
    head = tokens[:i]
    while head and head[-1] in ("]", ">"):
        opening = {"]": "[", ">": "<"}[head[-1]]
        closing, depth = head[-1], 0
        while head:
            depth += (head[-1] == closing) - (head[-1] == opening)
            head.pop()
            if depth == 0:
                break
    if head and re.match(r"[A-Za-z_]\w*$", head[-1]):
        return head[-1], "other"
    return None, None


def parse_scope(tokens, in_class, is_struct, names, members, owner):
    """Collects names at this scope; enters namespaces and classes, skips all other bodies."""
    public = not in_class or is_struct
    i, statement = 0, []
    while i < len(tokens):
        token = tokens[i]
        if in_class and token in ("public", "private", "protected") and tokens[i + 1:i + 2] == [":"]:
            public, statement, i = token == "public", [], i + 2
        elif token == ";":
            record(statement, in_class, public, names, members, owner)
            statement, i = [], i + 1
        elif token == "{":
            end = skip_balanced(tokens, i, "{", "}")
            body = tokens[i + 1:end - 1]
            if "namespace" in statement:
                path = [t for t in statement if re.match(r"[A-Za-z_]", t)
                        and t not in ("namespace", "inline")]
                if not PRIVATE_NAMESPACES & set(path):
                    parse_scope(body, False, False, names, members, None)
                statement = []
            elif is_initializer(statement):
                statement.append("{}")
            else:
                name, kind = record(statement, in_class, public, names, members, owner)
                if kind == "type" and public and name not in PRIVATE_NAMESPACES:
                    struct = "struct" in skip_template_head(statement)[:2]
                    parse_scope(body, True, struct, names, members, name)
                statement = []
                if tokens[end:end + 1] == [";"]:
                    end += 1
            i = end
        elif token == "(":
            end = skip_balanced(tokens, i, "(", ")")
            statement += tokens[i:end]
            i = end
        else:
            statement.append(token)
            i += 1


def is_initializer(statement):
    """Whether a brace after these tokens begins a value or a requirement, not a body."""
    if statement[-1:] == [")"] and requirement(statement):
        return True
    if not statement:  # the body of a constructor whose last initializer has braces
        return False
    rest = skip_template_head([t for t in statement if t != "inline"])
    depth = 0
    for token in rest:
        depth += (token == "(") - (token == ")")
        if depth == 0 and token in ("=", "concept", "using"):
            return True
    return not (set(rest[:2]) & KEYWORDS_BEFORE_NAME or "(" in rest)


def requirement(statement):
    """Whether the tokens end in `requires (…)`."""
    depth = 0
    for i in range(len(statement) - 1, -1, -1):
        depth += (statement[i] == ")") - (statement[i] == "(")
        if depth == 0:
            return i > 0 and statement[i - 1] == "requires"
    return False


def record(statement, in_class, public, names, members, owner):
    name, kind = declared_name(statement)
    if name is None or not public:
        return name, kind
    if in_class:
        if name != owner:
            members.add(name)
    else:
        names.add(name)
    return name, kind


def public_names(text):
    """The names that a header declares for users, and the public members of its types."""
    macros, text = split_macros(without_comments(text))
    names, members = set(macros), set()
    parse_scope(TOKEN.findall(text), False, False, names, members, None)
    return names, members


def sections(text):
    """The sections "### `quant/…hpp`" of api.md: header → text."""
    parts = re.split(r"^### `(quant/[\w/.]+)`$", text, flags=re.MULTILINE)
    return {parts[i]: re.split(r"^##", parts[i + 1], flags=re.MULTILINE)[0]
            for i in range(1, len(parts), 2)}


def listed_names(section):
    """The names in the first columns of a section's tables."""
    names = set()
    for line in section.splitlines():
        if line.startswith("| `"):
            for code in re.findall(r"`([^`]+)`", line.split(" | ")[0]):
                names.add(re.match(r"[\w:~]+", code)[0].split("::")[-1])
    return names


def check_names(root):
    api = root / "docs/api.md"
    documented = sections(api.read_text(encoding="utf-8"))
    include = root / "include"
    headers = {}
    for header in sorted((include / "quant").rglob("*.hpp")):
        path = header.relative_to(include).as_posix()
        headers[path] = public_names(header.read_text(encoding="utf-8"))
    for path, (names, members) in headers.items():
        if not names:
            continue
        if path not in documented:
            yield f"docs/api.md: no section for {path}, which declares {', '.join(sorted(names))}"
            continue
        listed = listed_names(documented[path])
        for name in sorted(names - listed):
            yield f"docs/api.md: {path}: {name} is missing"
        for name in sorted(listed - names):
            yield f"docs/api.md: {path}: {name} is not declared there"
        code = " ".join(re.findall(r"`([^`]+)`", documented[path]))
        for name in sorted(members - names - set(re.findall(r"\w+", code))):
            yield f"docs/api.md: {path}: the public member {name} is missing"
    for path in sorted(documented.keys() - headers.keys()):
        yield f"docs/api.md: there is no public header {path}"


def pages(root):
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def stripped_lines(text):
    return "\n".join(line.strip() for line in text.strip("\n").splitlines())


def check_code(root):
    examples = {path: path.read_text(encoding="utf-8") for path in (root / "examples").glob("*.cpp")}
    compiled = [stripped_lines(path.read_text(encoding="utf-8"))
                for path in [*(root / "examples").rglob("*.[ch]pp"),
                             *(root / "tests/docs").glob("*.cpp")]]
    for page in pages(root):
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(r"^```cpp\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
            line = text[:match.start()].count("\n") + 1
            if re.search(r"\bint main\b", match[1]):
                if match[1] not in examples.values():
                    yield f"{page.relative_to(root)}:{line}: the program is no file of examples/"
            elif not any(stripped_lines(match[1]) in source for source in compiled):
                yield f"{page.relative_to(root)}:{line}: the code stands in no compiled source"


def anchors(text):
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def check_links(root):
    for page in pages(root):
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            if not file.exists():
                yield f"{page.relative_to(root)}: link to {target}: there is no such file"
            elif anchor and anchor not in anchors(file.read_text(encoding="utf-8")):
                yield f"{page.relative_to(root)}: link to {target}: there is no such heading"


def check(root):
    return [*check_names(root), *check_code(root), *check_links(root)]


SELF_TEST_HEADER = """
#define QUANT_SWITCH 1
#define QUANT_DETAIL_SECRET 2
namespace quant::inline QUANT_ABI {
namespace detail { struct hidden {}; }
enum class color { red, green };
template <class T> concept number = requires(T t) { { t + t } -> std::same_as<T>; };
template <class T> inline constexpr bool is_thing = false;
template <> inline constexpr bool is_thing<int> = true;
using alias = int;
template <class T, class E = const int&>
    requires(sizeof(T) > 1 && (number<E> && ...))
[[nodiscard]] result<std::vector<T>> try_make(T from, E&& how = {}) noexcept { return {from}; }
template <class T>
class box final : base<T> {
public:
    box() noexcept : value_{} {}
    [[nodiscard]] T get() const { return value_; }
    friend bool operator==(box, box) = default;
private:
    T value_ = {};
    void secret();
};
template <class T> box(T*) -> box<T>;
template <class T> inline void box<T>::secret() {}
inline constexpr point origin{};
template <class T>
    requires requires(const T& t) { try_make<T>(t); }
void make(T) {}
template <class T>
    requires std::same_as<T, int>
void make_more(T) {}
struct point { float x = 0; static constexpr int sides[] = {1, 2}; int area() { return 0; } };
namespace inner { struct tag {}; }
}
"""


def self_test():
    names, members = public_names(SELF_TEST_HEADER)
    expected = {"QUANT_SWITCH", "color", "number", "is_thing", "alias", "try_make", "box", "point",
                "tag", "origin", "make", "make_more"}
    assert names == expected, (sorted(names), sorted(expected))
    assert members == {"get", "x", "sides", "area"}, members

    api = ("### `quant/a.hpp`\n| name | what |\n|---|---|\n| `QUANT_SWITCH`, `color` | |\n"
           "| `number`, `origin`, `make`, `make_more` | |\n| `is_thing<T>` | |\n| `alias` | |\n| `try_make(from)` | |\n"
           "| `box<T>` | `get()` |\n| `point` | `x`, `sides`, `area` |\n| `inner::tag` | |\n")
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for path, text in {
                "include/quant/a.hpp": SELF_TEST_HEADER, "docs/api.md": api,
                "examples/a.cpp": "int main() {}\n", "tests/docs/b.cpp": "{\n    f();\n    g();\n}\n",
                "README.md": "# A title\n```cpp\nint main() {}\n```\n```cpp\nf();\ng();\n```\n"
                             "[a](docs/api.md) [b](#a-title)\n"}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        assert check(root) == [], check(root)

        def violation(path, old, new, message):
            text = (root / path).read_text(encoding="utf-8")
            assert old in text
            (root / path).write_text(text.replace(old, new), encoding="utf-8")
            found = check(root)
            (root / path).write_text(text, encoding="utf-8")
            assert any(message in line for line in found), (message, found)

        violation("docs/api.md", "`try_make(from)`", "", "try_make is missing")
        violation("docs/api.md", "`alias`", "`alias`, `gone`", "gone is not declared")
        violation("docs/api.md", "`get()`", "", "public member get is missing")
        violation("docs/api.md", "quant/a.hpp", "quant/b.hpp", "no public header quant/b.hpp")
        violation("docs/api.md", "quant/a.hpp", "quant/b.hpp", "no section for quant/a.hpp")
        violation("README.md", "int main() {}", "int main() { }", "is no file of examples")
        violation("README.md", "g();", "h();", "stands in no compiled source")
        violation("README.md", "docs/api.md", "docs/none.md", "no such file")
        violation("README.md", "#a-title", "#another", "no such heading")
    print("self-test passed")


def main():
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return 0
    if len(sys.argv) == 3 and sys.argv[1] == "--names":
        include = pathlib.Path(sys.argv[2]) / "include"
        for header in sorted((include / "quant").rglob("*.hpp")):
            names, members = public_names(header.read_text(encoding="utf-8"))
            print(f"{header.relative_to(include)}: {', '.join(sorted(names))}"
                  f"\n    members: {', '.join(sorted(members))}")
        return 0
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    problems = check(pathlib.Path(sys.argv[1]).resolve())
    print("\n".join(problems) if problems else "the documentation agrees with the sources")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
