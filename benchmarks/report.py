#!/usr/bin/env python3
"""Writes the measured parts of docs/performance.md, or of another page, and its charts.

    report.py [--root DIR] [--page performance_NAME.md] [--rivals FILE.json]... RESULTS.json...

RESULTS are what `benchmark.quant --benchmark_out=FILE --benchmark_out_format=json` wrote; several
files of one build are taken together, a case that is in several of them from the one in which it
was fastest: not in which its limit was lowest. Percent of a peak are taken anew, with the best value
that the peak had in all of them.
Everything between `<!-- measured: NAME -->` and `<!-- end -->` is replaced. Host names and
paths, which Google Benchmark records, stay out. A page is for one machine; charts of another than
performance.md have its NAME in theirs. Charts need matplotlib.
"""
import argparse
import collections
import json
import pathlib
import re
import sys

PEAKS = ("dot_product", "bf16_dot_product", "multiply_add")
LIMITS = {
    "dot_product": "8-bit dot products", "own_dot_product": "8-bit dot products of the build itself",
    "amx_products": "8-bit products of tiles (AMX)", "bf16_dot_product": "bf16 dot products",
    "multiply_add": "float multiply-adds",
    "l2_read": "reading L2", "l3_read": "reading L3", "dram_read": "reading DRAM",
}


class Case:
    def __init__(self, entry):
        self.name = re.sub(r"/iterations:\d+|/manual_time", "", entry["name"])
        self.family, _, self.case = self.name.rpartition("/")
        self.area = self.name.split("/")[0]
        self.unit, _, self.against = entry.get("label", " vs ").partition(" vs ")
        for key in ("best", "median", "limit", "percent", "percent_median", "target", "stream",
                    "work_per_byte", "samples"):
            setattr(self, key, entry.get(key))

    @property
    def is_rate(self):
        return self.against == "absolute"

    def beats(self, other):
        if other is None:
            return True
        if self.against == "rise":
            return self.percent < other.percent
        return self.best > other.best

    @property
    def met(self):
        if self.against == "rise":
            return self.percent <= self.target
        return self.percent >= self.target


def name_of(context):
    return f"{context['compiler']}, {context['instruction_set']}"


def read_builds(paths):
    files = [json.loads(pathlib.Path(path).read_text(encoding="utf-8")) for path in paths]
    names = dict.fromkeys(name_of(data["context"]) for data in files)
    return [Build([d for d in files if name_of(d["context"]) == name]) for name in names]


class Build:
    """The results of one build."""

    def __init__(self, files):
        self.context = files[0]["context"]
        found = {}
        for data in files:
            for entry in data["benchmarks"]:
                if not entry.get("error_occurred"):
                    case = Case(entry)
                    if case.beats(found.get(case.name)):
                        found[case.name] = case
        self.cases = list(found.values())
        self.name = name_of(self.context)
        # Names of charts stay when a compiler's version changes.
        family = self.context["compiler"].split()[0].replace("g++", "gcc")
        self.slug = f"{family}_{self.context['instruction_set']}"
        self.by_name = {c.name: c for c in self.cases}
        self.take_best_peaks()

    def chart_name(self, suffix):
        """The build's part of its charts' names; two pages may show builds of one name."""
        return self.slug if self.slug.endswith(suffix) else self.slug + suffix

    def take_best_peaks(self):
        self.peaks = {}
        for peak in PEAKS:
            seen = [c.limit for c in self.cases if c.against == peak and c.limit]
            seen += [c.best for c in self.cases if c.name == f"limits/{peak}/one_thread"]
            self.peaks[peak] = max(seen, default=0)
        for case in self.cases:
            limit = self.peaks.get(case.against)
            if case.against == "dot_or_stream":
                limit = min(self.peaks["dot_product"], case.stream * case.work_per_byte)
            if limit:
                case.limit = limit
                case.percent = 100 * case.best / limit
                case.percent_median = 100 * case.median / limit

    def limit(self, name):
        case = self.by_name.get(f"limits/{name}/one_thread")
        return max(case.best if case else 0, self.peaks.get(name, 0))

    @property
    def with_targets(self):
        return [c for c in self.cases if c.target]

    def families(self, area):
        found = collections.OrderedDict()
        for case in self.cases:
            if case.area == area:
                found.setdefault(case.family, []).append(case)
        return found


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


def number(value):
    return f"{value:.0f}" if value >= 20 else f"{value:.1f}"


def cell(case):
    return f"{number(case.percent)} ({number(case.percent_median)})"


def verdict(cases):
    judged = [c for c in cases if c.target]
    met = sum(c.met for c in judged)
    if not judged:
        return ""
    return "met" if met == len(judged) else f"missed: {len(judged) - met} of {len(judged)}"


def target_text(cases):
    targets = sorted({c.target for c in cases if c.target})
    return " / ".join(number(t) for t in targets) if targets else "–"


def pivoted(build, area):
    """One row per family, one column per case."""
    families = build.families(area)
    columns = []
    for cases in families.values():
        columns += [c.case for c in cases if c.case not in columns]
    rows = []
    for family, cases in families.items():
        by_case = {c.case: c for c in cases}
        rows.append([family.partition("/")[2].replace("/", " · "), target_text(
            [c for c in cases if c.against != "rise"])]
            + [cell(by_case[c]) if c in by_case else "" for c in columns] + [verdict(cases)])
    if not rows:
        return ""
    return table(["", "target"] + [c.replace("tokens:", "").replace("_", " ") for c in columns]
                 + ["verdict"], rows)


def listed(build, area):
    """One row per case."""
    rows = []
    for case in build.cases:
        if case.area != area or case.against in ("none", ""):
            continue
        what = case.name.partition("/")[2].replace("/", " · ")
        shown = ([f"{case.percent:.1f}", f"{case.percent_median:.1f}"] if case.percent is not None
                 else ["", ""])
        rows.append([what, f"{case.best:.1f} {case.unit}", *shown,
                     target_text([case]), verdict([case])])
    return table(["", "rate", "best", "median", "target", "verdict"], rows) if rows else ""


AREAS = [
    ("products", "Many tokens", pivoted,
     "Percent of the peak: best (median). Columns are tokens."),
    ("small_batches", "1 to 16 tokens", pivoted,
     "Percent of the lower of two limits, dot products and reading the weights from L3: best (median). "
     "The last column is the worst rise of the time per token from one count to the next, in percent; "
     "its target is 5."),
    ("one_token", "One token", listed,
     "Bytes of weights and scales per second, and percent of reading the same memory."),
    ("threads", "Two threads", listed, "Percent of one thread's rate."),
    ("model_shapes", "Shapes of small models", listed,
     "Weights (padded ones for 64x172) per second and token, and percent of what 4096x4096 reaches."),
    ("elements", "Quantizing, dequantizing, packing", listed,
     "For quantize and dequantize the target is a rate in G elements/s; pack and unpack are percent of "
     "reading L2, by the bytes on both sides."),
]


def machine_part(builds):
    c = builds[0].context
    dates = sorted({b.context["date"][:10] for b in builds})
    rows = [["CPU", c["cpu"]], ["cores used", "1; 2 where it says two threads"],
            ["L2 / L3", f"{c['l2']} / {c['l3']}"],
            ["builds", "; ".join(b.name for b in builds)], ["date", ", ".join(dates)]]
    if "dot_product" in c:
        rows += [["8-bit dot products of the CPU", c["dot_product"]]]
    rows += [["system", "Linux, a virtual machine that others share"]]
    limits = [[text] + [f"{b.limit(name):.0f}" if b.limit(name) else "–" for b in builds]
              for name, text in LIMITS.items()]
    return (table(["", ""], rows) + "\n\nLimits of one thread, best of the run (GOPS; GB/s for reading):\n\n"
            + table([""] + [b.name for b in builds], limits))


def summary_part(builds):
    rows = []
    for title_area, title, *_ in AREAS:
        row = [title]
        for b in builds:
            judged = [c for c in b.with_targets if c.area == title_area]
            row.append(f"{sum(c.met for c in judged)} of {len(judged)}" if judged else "–")
        rows.append(row)
    rows.append(["all"] + [f"{sum(c.met for c in b.with_targets)} of {len(b.with_targets)}"
                           for b in builds])
    return "Targets met:\n\n" + table([""] + [b.name for b in builds], rows)


def charts_part(builds, suffix):
    names = [b.chart_name(suffix) for b in builds if b.families("small_batches")]
    return "\n\n".join(f"![Roofline](images/roofline_{name}.svg)\n\n"
                       f"![Time per token](images/time_per_token_{name}.svg)" for name in names)


def losses_part(builds):
    lines = []
    for b in builds:
        worst = {}
        for c in b.with_targets:
            if not c.met and c.against != "rise":
                share = c.percent / c.target
                if c.family not in worst or share < worst[c.family][0]:
                    worst[c.family] = (share, c)
        lines.append(f"### {b.name}\n")
        if not worst:
            lines.append("No target that was measured was missed.\n")
            continue
        rows = [[c.family.replace("/", " · "), c.case.replace("tokens:", "tokens "),
                 number(c.percent), number(c.target), f"{100 * share:.0f} %"]
                for share, c in sorted(worst.values(), key=lambda w: w[0])]
        lines.append(table(["", "worst case", "reached", "target", "share of the target"], rows) + "\n")
    return "\n".join(lines)


def figures_part(builds):
    lines = []
    for b in builds:
        for area, title, make, text in AREAS:
            made = make(b, area)
            if made:
                lines.append(f"### {title}: {b.name}\n\n{text}\n\n{made}\n")
    return "\n".join(lines)


def rivals_part(paths):
    if not paths:
        return "Not measured here."
    cases = [Case(b) for path in paths
             for b in json.loads(pathlib.Path(path).read_text(encoding="utf-8"))["benchmarks"]
             if not b.get("error_occurred")]
    groups = collections.OrderedDict()  # rivals/KIND/SHAPE/tokens:N/NAME
    for c in cases:
        if c.area == "rivals" and c.best:
            groups.setdefault(c.family, []).append(c)
    rows = []
    for group, members in groups.items():
        ours = next((c for c in members if c.case.startswith("quant")), None)
        _, kind, shape, tokens = group.split("/")
        for c in members:
            ratio = f"{ours.best / c.best:.2f}" if ours and c is not ours else ""
            rows.append([kind.replace("_", " "), shape, tokens.replace("tokens:", ""),
                         c.case.replace("_", " "), f"{c.best:.0f}", f"{c.median:.0f}", ratio])
    return table(["product", "shape", "tokens", "library", "GOPS, best", "median", "quant / it"], rows)


def replace_parts(path, parts):
    text = path.read_text(encoding="utf-8")
    for name, body in parts.items():
        pattern = re.compile(rf"(<!-- measured: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not pattern.search(text):
            raise SystemExit(f"{path.name} has no part '{name}'")
        text = pattern.sub(lambda m: m[1] + "\n" + body.strip() + "\n\n" + m[2], text)
    path.write_text(text, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--page", default="performance.md")
    parser.add_argument("--rivals", action="append", default=[])
    parser.add_argument("results", nargs="+")
    arguments = parser.parse_args()
    builds = read_builds(arguments.results)
    page = arguments.root / "docs" / arguments.page
    suffix = page.stem.removeprefix("performance")
    parts = {"machine": machine_part(builds), "summary": summary_part(builds),
             "charts": charts_part(builds, suffix), "losses": losses_part(builds), "figures": figures_part(builds)}
    if arguments.rivals:
        parts["rivals"] = rivals_part(arguments.rivals)
    replace_parts(page, parts)
    try:
        import charts
    except ImportError as missing:
        print(f"no charts: {missing}", file=sys.stderr)
        return 0
    charts.draw(builds, arguments.root / "docs" / "images", suffix)
    return 0


if __name__ == "__main__":
    sys.exit(main())
