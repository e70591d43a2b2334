"""The workflow's rules as a graph."""

from functools import cache

from matplotlib.figure import Figure

from deepsr.report.style import COLORS, GREY, WIDTH


def plot_workflow(edges):
    """The rules as a graph, from the first ones down; what is also reached on a longer way has no arrow of its own.

    edges: [(rule, rule that reads what it makes)], without cycles.
    """
    readers = {rule: {b for a, b in edges if a == rule} for edge in edges for rule in edge}

    @cache
    def after(rule):
        return readers[rule].union(*map(after, readers[rule]))

    @cache
    def row(rule):  # from the last one
        return max((row(reader) + 1 for reader in readers[rule]), default=0)

    rows = [sorted(rule for rule in readers if row(rule) == i) for i in range(1 + max(map(row, readers)))]
    direct = {rule: readers[rule] - set().union(*map(after, readers[rule])) for rule in readers}
    place = {}
    for y, names in enumerate(rows):
        for i, rule in enumerate(names):
            place[rule] = (i + 0.5) / len(names), y
        if len(names) == 1 and y:  # in the middle of its readers, so that no longer arrow passes behind it
            place[rule] = sum(place[reader][0] for reader in direct[rule]) / len(direct[rule]), y
    figure = Figure(figsize=(WIDTH, 0.45 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(-0.5, len(rows) - 0.5))
    axes.axis("off")
    box = {"boxstyle": "round,pad=0.35", "facecolor": "#eef4f9", "edgecolor": COLORS[0], "linewidth": 0.8}
    arrow = {"arrowstyle": "-|>", "color": GREY, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0}
    for rule, (x, y) in place.items():
        axes.text(x, y, rule, ha="center", va="center", fontsize=6.5, bbox=box, zorder=3)
        for to, end in map(place.get, sorted(direct[rule])):
            axes.annotate("", (to, end + 0.22), (x, y - 0.22), arrowprops=arrow, zorder=2)
    return figure
