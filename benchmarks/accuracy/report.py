#!/usr/bin/env python3
"""Writes the measured parts of docs/accuracy.md, and its chart.

    report.py [--root DIR] [--model NAME=COMPARE.json]... ACCURACY.json
    report.py [--root DIR] --speeds NAME ACCURACY.json

ACCURACY.json is what `benchmark.accuracy --json` wrote (with --optimal: one part, and no chart), COMPARE.json what `lm compare --json`
printed: NAME is that of a part. Everything between `<!-- measured: NAME -->` and
`<!-- end -->` is replaced; parts of models that are not given stay. The chart needs matplotlib.
With --speeds only part NAME is written: how fast another machine quantizes.
"""
import argparse
import json
import math
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FAMILIES = {"best": ("#c53030", "o"), "GGUF": ("#2b6cb0", "s"), "OCP MX": ("#2f855a", "^"),
            "NVFP4": ("#805ad5", "v"), "NF4": ("#dd6b20", "D"), "ternary": ("#4a5568", "x")}


def student_share():
    """Shannon's lower bound for Student-t(4) numbers of any variance, over that of normal ones."""
    # h = (5/2)(psi(5/2) - psi(2)) + ln(2 B(2, 1/2)) nats; the variance is 2.
    digammas = (2 + 2 / 3 - 2 * math.log(2)) - 1
    beta = math.gamma(2) * math.gamma(0.5) / math.gamma(2.5)
    entropy = 2.5 * digammas + math.log(2 * beta)
    return math.sqrt(math.exp(2 * entropy) / (2 * math.pi * math.e * 2))


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def error(value):
    return f"{value:.5f}" if value < 1 else f"{value:.3f}"


def errors_part(data):
    rows = []
    for p in sorted(data["presets"], key=lambda p: p["bits"]):
        row = [f"`{p['name']}`", f"{p['bits']:.3f}"]
        row += [error(p["mse"][k]) for k in ("normal", "student")]
        row += [error(p["min_max"][k]) if "min_max" in p else "" for k in ("normal", "student")]
        # How many bits fewer would do, were there a code as good as codes can be.
        row.append(f"{p['bits'] + math.log2(p['mse']['normal']):.2f}")
        row.append(f"{p['mse']['weights_per_second'] / 1e6:.0f}")
        row.append(f"{p['min_max']['weights_per_second'] / 1e6:.0f}" if "min_max" in p else "")
        rows.append(row)
    head = ["preset", "bits", "normal", "t(4)", "min-max, normal", "min-max, t(4)",
            "bits above the limit", "M weights/s", "min-max"]
    return (f"{data['rows']} × {data['cols']}, three matrices of each distribution.\n\n"
            + table(head, rows))


def targets_part(data):
    by_name = {p["name"]: p for p in data["presets"]}
    rows = []
    for t in data["targets"]:
        p = by_name[t["preset"]]
        rows.append([f"{t['bits']:g}", f"{t['normal']:g}", f"{t['student']:g}", f"`{t['preset']}`",
                     f"{p['bits']:.3f}", error(p["mse"]["normal"]), error(p["mse"]["student"]),
                     "yes" if t["beaten"] else "**no**"])
    return table(["budget", "to beat, normal", "t(4)", "preset", "bits", "normal", "t(4)",
                  "less in both"], rows)


def optimal_part(data):
    rows = []
    for p in data["optimal"]:
        mse, least = p["mse"], p["mse_optimal"]
        row = [f"`{p['name']}`"]
        for kind in ("normal", "student"):
            row += [error(mse[kind]), error(least[kind]),
                    f"{100 * (mse[kind] ** 2 / least[kind] ** 2 - 1):.2f}"]
        row += [f"{of['weights_per_second'] / 1e6:.3g}" for of in (mse, least)]
        rows.append(row)
    head = ["preset", "normal: `mse`", "`mse_optimal`", "E more, %", "t(4): `mse`", "`mse_optimal`",
            "E more, %", "`mse`, M weights/s", "`mse_optimal`"]
    return (f"{data['rows']} × {data['cols']}, three matrices of each distribution.\n\n"
            + table(head, rows))


def speeds_part(data):
    rows = [[f"`{p['name']}`", f"{p['mse']['weights_per_second'] / 1e6:.0f}",
             f"{p['min_max']['weights_per_second'] / 1e6:.0f}" if "min_max" in p else ""]
            for p in sorted(data["presets"], key=lambda p: -p["mse"]["weights_per_second"])]
    return (f"{data['rows']} × {data['cols']}; million weights per second.\n\n"
            + table(["preset", "`mse`, or two levels", "min-max"], rows))


def model_part(data):
    rows = [[f"`{s['name']}`", f"{s['bits_per_weight']:.2f}", f"{s['kl_divergence']:.5f}",
             f"{100 * s['top1_agreement']:.1f}", f"{s['perplexity']:.5g}",
             f"{s['quantize_seconds']:.2f}"]
            for s in sorted(data["schemes"], key=lambda s: -s["bits_per_weight"])]
    weights = f"{data['weights']:,}".replace(",", " ")
    return (f"{weights} weights, {data['scored_tokens']} tokens.\n\n"
            + table(["scheme", "bits", "KL, nats", "top-1, %", "perplexity", "quantizing, s"], rows))


def draw(data, path):
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "quant", "svg.fonttype": "none", "font.size": 9,
                                "axes.spines.top": False, "axes.spines.right": False})
    import matplotlib.pyplot as plt
    figure, both = plt.subplots(1, 2, figsize=(10, 4.6), sharey=True)
    for axes, kind, title, share in ((both[0], "normal", "normal weights", 1.0),
                                     (both[1], "student", "Student-t(4) weights", student_share())):
        ends = [1, 9]
        axes.plot(ends, [share * 2.0 ** -r for r in ends], color="#1a202c", linewidth=1,
                  label="no code can do better: " + ("2^−R" if share == 1 else f"{share:.2f}·2^−R"))
        near = axes.inset_axes([0.06, 0.07, 0.36, 0.42])  # where most formats are
        for family, (color, marker) in FAMILIES.items():
            points = [(p["bits"], p["mse"][kind]) for p in data["presets"] if p["family"] == family]
            axes.plot(*zip(*points), marker, color=color, markersize=4, label=family)
            near.plot(*zip(*points), marker, color=color, markersize=4)
        inside = [p["mse"][kind] for p in data["presets"] if 4 <= p["bits"] <= 4.6]
        near.set(xlim=(4.05, 4.78), ylim=(0.92 * min(inside), 1.08 * max(inside)), yscale="log")
        near.tick_params(labelsize=5, which="both", left=False, labelleft=False)
        near.grid(alpha=0.3, linewidth=0.4, which="both")
        axes.indicate_inset_zoom(near, edgecolor="#a0aec0")
        for p in data["presets"]:
            dense = 4 <= p["bits"] <= 4.6
            if dense or p["family"] != "best":
                left = p["name"] in ("bitnet", "nvfp4")
                (near if dense else axes).annotate(
                    p["name"], (p["bits"], p["mse"][kind]), fontsize=4.5, color="#4a5568",
                    xytext=(-4 if left else 3, 2), textcoords="offset points",
                    ha="right" if left else "left")
        axes.set(yscale="log", xlabel="bits per weight, scales counted", title=title)
        axes.grid(alpha=0.3, linewidth=0.4, which="both")
        axes.legend(fontsize=7, frameon=False)
    both[0].set_ylabel("relative error ‖w − q‖ / ‖w‖")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


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
    parser.add_argument("--root", type=pathlib.Path, default=ROOT)
    parser.add_argument("--model", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--speeds", metavar="NAME")
    parser.add_argument("results", type=pathlib.Path)
    arguments = parser.parse_args()
    data = json.loads(arguments.results.read_text(encoding="utf-8"))
    if arguments.speeds:
        replace_parts(arguments.root / "docs" / "accuracy.md",
                      {arguments.speeds: speeds_part(data)})
        return 0
    if "optimal" in data:
        replace_parts(arguments.root / "docs" / "accuracy.md", {"optimal": optimal_part(data)})
        return 0
    parts = {"errors": errors_part(data), "targets": targets_part(data)}
    for one in arguments.model:
        name, _, path = one.partition("=")
        parts[name] = model_part(json.loads(pathlib.Path(path).read_text(encoding="utf-8")))
    replace_parts(arguments.root / "docs" / "accuracy.md", parts)
    try:
        draw(data, arguments.root / "docs" / "images" / "accuracy.svg")
    except ImportError as missing:
        print(f"no chart: {missing}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
