"""Charts of report.py: a roofline, bars against targets, time per token of small batches."""
import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({
    "svg.hashsalt": "quant",  # the same figures make the same file
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
})
import matplotlib.pyplot as plt  # noqa: E402

COLORS = ["#2b6cb0", "#dd6b20", "#2f855a", "#805ad5"]
SQUARE = 4096 * 4096


def save(figure, folder, name):
    folder.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(folder / name, metadata={"Date": None})
    plt.close(figure)


def tokens_of(case):
    return int(case.case.partition(":")[2])


def roofline(build, folder, chart):
    """GOPS over operations per byte of weights, between the roofs of the machine."""
    figure, axes = plt.subplots(figsize=(7, 4.2))
    peak = build.limit("dot_product")
    for name, style in (("l3_read", "--"), ("dram_read", ":")):
        bandwidth = build.limit(name)
        if bandwidth:
            knee = peak / bandwidth
            axes.plot([1, knee, 512], [bandwidth, peak, peak], style, color="#4a5568",
                      label=f"{name.replace('_', ' ').replace('l3', 'L3').replace('dram', 'DRAM')}, "
                            f"{bandwidth:.0f} GB/s; peak {peak:.0f} GOPS")
    tiles = build.limit("amx_products")
    if tiles:
        axes.axhline(tiles, color="#a0aec0", linewidth=1, label=f"tiles (AMX), {tiles:.0f} GOPS")
    for i, (family, cases) in enumerate(build.families("small_batches").items()):
        points = [c for c in cases if c.work_per_byte]
        axes.plot([c.work_per_byte for c in points], [c.best for c in points], ".-",
                  color=plt.cm.tab10(i), linewidth=0.8, label=family.partition("/")[2])
    axes.set(xscale="log", yscale="log", xlabel="operations per byte of weights",
             ylabel="GOPS, one thread", title=f"1 to 16 tokens, 4096 x 4096: {build.name}")
    axes.grid(alpha=0.3, which="both", linewidth=0.4)
    axes.legend(fontsize=7, frameon=False)
    save(figure, folder, f"roofline_{chart}.svg")


def bars(builds, area, folder, name, title, pick):
    """Percent of the limit per family, a line where the target is; one colour per build."""
    families = {}
    for b in builds:
        for family, cases in b.families(area).items():
            chosen = pick(cases)
            if chosen is not None:
                families.setdefault(family, {})[b.name] = chosen
    if not families:
        return
    figure, axes = plt.subplots(figsize=(7, 0.6 + 0.13 * len(families) * (len(builds) + 1)))
    height = 1 / (len(builds) + 1)
    for row, family in enumerate(families):
        for i, b in enumerate(builds):
            case = families[family].get(b.name)
            if case is None:
                continue
            y = row + (i - (len(builds) - 1) / 2) * height
            axes.barh(y, case.percent, height, color=COLORS[i % len(COLORS)])
            axes.plot([case.percent_median] * 2, [y - height / 2, y + height / 2], color="white",
                      linewidth=1)
            if case.target:
                axes.plot([case.target] * 2, [y - height / 2, y + height / 2], color="black",
                          linewidth=1.5)
    axes.set_yticks(range(len(families)), [f.partition("/")[2] for f in families], fontsize=7)
    axes.margins(y=0.01)
    axes.invert_yaxis()
    most = max(c.percent for chosen in families.values() for c in chosen.values())
    axes.set(xlim=(0, max(105, 1.05 * most)),
             xlabel="percent of the limit; black: target; white: median", title=title)
    handles = [plt.Rectangle((0, 0), 1, 1, color=COLORS[i % len(COLORS)]) for i in range(len(builds))]
    axes.legend(handles, [b.name for b in builds], fontsize=7, frameon=False, loc="lower right")
    save(figure, folder, name)


def time_per_token(build, folder, chart):
    figure, axes = plt.subplots(figsize=(7, 3.4))
    for i, (family, cases) in enumerate(build.families("small_batches").items()):
        points = [c for c in cases if c.work_per_byte]
        times = [2 * SQUARE / (c.best * 1e9) * 1e6 for c in points]
        axes.plot([tokens_of(c) for c in points], times, ".-", color=plt.cm.tab10(i), linewidth=0.8,
                  label=family.partition("/")[2])
    peak = build.limit("dot_product")
    axes.axhline(2 * SQUARE / (peak * 1e9) * 1e6, color="#4a5568", linestyle="--",
                 label="dot products alone")
    axes.set(xlabel="tokens", ylabel="microseconds per token", ylim=(0, None),
             title=f"4096 x 4096: {build.name}")
    axes.legend(fontsize=7, frameon=False)
    axes.grid(alpha=0.3, linewidth=0.4)
    save(figure, folder, f"time_per_token_{chart}.svg")


def draw(builds, folder, suffix=""):
    """All charts; the suffix, the page's, goes into their names."""
    def worst(cases):
        with_targets = [c for c in cases if c.target] or cases
        return min(with_targets, key=lambda c: c.percent)

    bars(builds, "products", folder, f"products{suffix}.svg", "Many tokens: the worst count of tokens", worst)
    bars(builds, "one_token", folder, f"one_token{suffix}.svg", "One token", worst)
    for b in builds:
        if b.families("small_batches"):
            roofline(b, folder, b.chart_name(suffix))
            time_per_token(b, folder, b.chart_name(suffix))
