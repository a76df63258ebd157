"""What each panel of the picture draws on its axes; x is in minutes of the hour."""

from __future__ import annotations

import math
from collections.abc import Sequence

from orchestrator.report.drawing import Axes
from orchestrator.report.marks import Mark, rows
from orchestrator.report.series import Column, Errors, Lane, Line, Operations
from orchestrator.report.words import printable
from steady_state.judged_plan import Limits

LANE_IN = 0.15
MOST_LANES = 40
KEY_AT = -0.203
"""Where keys begin, left of the axes, as a share of their width: the left edge of the margin's words."""
BLUE, RED, AMBER, DARK, PALE = "#0072b2", "#c0392b", "#e69f00", "#333333", "#b5bcc4"
LIMIT = {"color": DARK, "linewidth": 0.7, "linestyle": (0, (1, 2))}
WEIGHTS = {0.5: (0.7, "-", 0.75), 0.95: (1.3, "-", 1.0), 0.99: (0.8, (0, (1, 1)), 0.9)}
SHADES = ("#0072b2", "#d55e00", "#555555", "#8e5ea2", "#e69f00", "#009e73")


def faults(axes: Axes, found: list[Mark]) -> None:
    """A bar from I to H, a hatched one on to R, and the name; a fault of one instant is a mark."""
    axes.set_ylim(rows(found), 0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    for mark in found:
        middle = mark.row + 0.5
        axes.broken_barh([(mark.injected, mark.healed - mark.injected)], (mark.row + 0.72, 0.28), color="#445566")
        recovering = [(mark.healed, mark.recovered - mark.healed)]
        axes.broken_barh(recovering, (mark.row + 0.72, 0.28), facecolor="none", edgecolor="#445566", linewidth=0.4, hatch="//////")
        axes.plot([mark.injected], [mark.row + 0.86], marker="v", color=DARK, markersize=4, clip_on=False)
        axes.text(mark.injected, middle, f" {mark.name}", va="center", weight="bold", clip_on=False)


def failed(axes: Axes, seen: Errors) -> None:
    axes.fill_between(seen.x, seen.failed_per_s, step="post", color=RED, linewidth=0, alpha=0.85)
    highest = max((value for value in seen.failed_per_s if value == value), default=0.0)
    axes.set_ylim(0, max(1.0, 1.15 * highest))
    _sparse(axes, integer=True)


def error_rate(axes: Axes, seen: Errors, limits: Limits) -> None:
    """The failed share of each bin. The limits bind ten seconds and whole stretches, so one bin above them breaks nothing yet."""
    axes.step(seen.x, [100 * ratio for ratio in seen.failed_ratio], where="post", color=RED, linewidth=1)
    highest = max((100 * ratio for ratio in seen.failed_ratio if ratio == ratio), default=0.0)
    axes.set_ylim(0, min(105.0, max(120 * limits.error_ratio_during, 1.15 * highest)))
    for limit, words in ((limits.error_ratio_during, "during a fault"), (limits.error_ratio_after, "after it")):
        axes.axhline(100 * limit, **LIMIT)
        if words.startswith("during") or highest < 15:
            _limit_words(axes, 100 * limit, f"{100 * limit:g}% {words}")
    _sparse(axes)


def latency(axes: Axes, x: Column, columns: dict[float, Column], maximum_ms: float, *, keyed: bool) -> None:
    """Quantiles on a logarithmic axis, and the limit of p95; `keyed` says which line is which."""
    for q, y in columns.items():
        width, style, opacity = WEIGHTS[q]
        axes.plot(x, y, color=BLUE, linewidth=width, linestyle=style, alpha=opacity, label=f"p{100 * q:.0f}")
    seen = [value for y in columns.values() for value in y if value == value and value > 0]
    _logarithmic(axes, [*seen, maximum_ms])
    axes.axhline(maximum_ms, **LIMIT)
    _limit_words(axes, maximum_ms, f"p95 limit {maximum_ms:g} ms")
    if keyed:
        _key(axes)


def shown(lanes: Sequence[Lane]) -> list[Lane]:
    """The lanes that the picture has room for: those that moved first, then the others, in their order."""
    if len(lanes) <= MOST_LANES:
        return list(lanes)
    chosen = sorted(range(len(lanes)), key=lambda place: (not lanes[place].moved, place))[:MOST_LANES]
    return [lanes[place] for place in sorted(chosen)]


def breakers(axes: Axes, lanes: list[Lane]) -> None:
    """A lane a breaker and replica: closed is a thin line, half-open a hatched bar, open a full one."""
    # A lane's height stays free at the top, where the panel's name stands beside it.
    axes.set_ylim(max(1, len(lanes)), -1)
    axes.spines["left"].set_visible(False)
    axes.set_yticks([place + 0.5 for place in range(len(lanes))], [_lane_words(lane) for lane in lanes], size=6)
    axes.tick_params(axis="y", length=0)
    for place, lane in enumerate(lanes):
        for start, end, state in lane.states:
            bar = [(start, end - start)]
            if state == "closed":
                axes.plot([start, end], [place + 0.5, place + 0.5], color=PALE, linewidth=1.2, solid_capstyle="butt")
            elif state == "open":
                axes.broken_barh(bar, (place + 0.12, 0.76), color=RED, linewidth=0)
            else:
                axes.broken_barh(bar, (place + 0.12, 0.76), facecolor="none", edgecolor=AMBER, linewidth=0.6, hatch="//////")
    if not lanes:
        _nothing(axes, "no breaker was read")


def _lane_words(lane: Lane) -> str:
    tail = lane.replica if len(lane.replica) <= 12 else f"…{lane.replica[-6:]}"
    return printable(f"{lane.breaker}  {tail}")


def ready(axes: Axes, lines: list[Line]) -> None:
    """Step lines, moved apart a little where they would cover each other."""
    if not lines:
        _nothing(axes, "no workload's number of ready replicas changed")
        return
    for place, line in enumerate(lines):
        shift = 0.06 * (place - (len(lines) - 1) / 2)
        style = ("-", (0, (4, 1.5)), (0, (1, 1)))[place % 3]
        colour = SHADES[place % len(SHADES)]
        axes.step(
            line.x, [y + shift for y in line.y], where="post", color=colour, linewidth=1.2, linestyle=style, label=printable(line.name)
        )
    highest = max(max(line.y) for line in lines)
    axes.set_ylim(-0.3, highest + 0.6)
    axes.set_yticks(range(0, int(highest) + 1, max(1, math.ceil(highest / 4))))
    _key(axes)


def hit_ratio(axes: Axes, line: Line) -> None:
    if all(math.isnan(ratio) for ratio in line.y):
        _nothing(axes, "the cache was not read")
        return
    axes.plot(line.x, [100 * ratio for ratio in line.y], color=BLUE, linewidth=1)
    axes.set_ylim(0, 105)
    axes.set_yticks([0, 50, 100])


def sync(axes: Axes, seen: Operations) -> None:
    """Each operation at the instant it was sent; a lost one is a cross at the top."""
    if not (seen.straight or seen.queued or seen.lost):
        _nothing(axes, "no sync operation was seen")
        return
    _points(axes, seen.straight, "delivered", {"color": BLUE, "markersize": 1.6, "marker": "o"})
    _points(axes, seen.queued, "queued first", {"color": AMBER, "markersize": 3.2, "marker": "s", "markerfacecolor": "none"})
    _logarithmic(axes, [ms for _, ms in [*seen.straight, *seen.queued]] or [100.0])
    if seen.lost:
        top = axes.get_ylim()[1]
        axes.plot(seen.lost, [top] * len(seen.lost), "x", color=RED, markersize=4, label=f"lost ({len(seen.lost)})", clip_on=False)
    _key(axes)


def _key(axes: Axes) -> None:
    """Which line is which, in the margin below the panel's name, where it covers nothing."""
    columns = math.ceil(len(axes.get_legend_handles_labels()[1]) / 4)
    place = {"loc": "lower left", "bbox_to_anchor": (KEY_AT, -0.04), "bbox_transform": axes.transAxes, "ncol": columns}
    axes.legend(**place, frameon=False, fontsize=6, handlelength=2.4, labelspacing=0.25, borderpad=0, borderaxespad=0, columnspacing=0.8)


def _points(axes: Axes, points: list[tuple[float, float]], label: str, look: dict[str, object]) -> None:
    if points:
        axes.plot([x for x, _ in points], [y for _, y in points], linestyle="none", markeredgewidth=0.7, label=label, **look)


def _logarithmic(axes: Axes, values: list[float]) -> None:
    """A logarithmic axis over whole decades, labelled in plain numbers."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    axes.set_yscale("log")
    axes.set_ylim(10 ** math.floor(math.log10(min(values))), 10 ** math.ceil(math.log10(1.05 * max(values))))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:,g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _limit_words(axes: Axes, y: float, words: str) -> None:
    axes.text(1.0, y, words, transform=axes.get_yaxis_transform(), ha="right", va="bottom", size=6, color=DARK)


def _nothing(axes: Axes, words: str) -> None:
    axes.set_yticks([])
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", color="#666666")


def _sparse(axes: Axes, *, integer: bool = False) -> None:
    axes.locator_params(axis="y", nbins=3, integer=integer)
