"""The hour as one picture: panels under each other on one time axis, the faults shaded through all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.report import panels
from orchestrator.report.drawing import Axes, Figure, svg
from orchestrator.report.marks import Mark, marks, rows
from orchestrator.report.series import Axis, cache_hit_ratio, errors, lanes, latencies_ms, operations, ready_replicas
from steady_state.history import History
from steady_state.judge import Judgement

WIDTH_IN = 11.5
LEFT_IN, RIGHT_IN, TOP_IN, BOTTOM_IN, GAP_IN = 1.95, 0.25, 0.5, 0.42, 0.14
GRID = "#dddddd"


@dataclass(frozen=True, slots=True)
class Panel:
    """One strip of the picture: its words in the margin, its height in inches, and what draws it."""

    title: str
    unit: str
    height_in: float
    draw: Callable[[Axes], None]


def picture(judgement: Judgement) -> str:
    """An `<svg>` element; empty for a run that never reached minute 0."""
    history = judgement.history
    if not history.started or history.end <= history.timeline:
        return ""
    axis = Axis.of(history)
    found = marks(judgement, axis)
    return svg(lambda figure: _figure(figure, axis, found, _panels(history, axis, found)))


def _panels(history: History, axis: Axis, found: list[Mark]) -> list[Panel]:
    failing, moving, breakers = errors(history, axis), ready_replicas(history, axis), panels.shown(lanes(history, axis))
    hit_ratio, synced = cache_hit_ratio(history, axis), operations(history, axis)
    limits = history.limits
    return [
        Panel("faults", "held, then recovering", 0.1 + 0.2 * rows(found), lambda axes: panels.faults(axes, found)),
        Panel("failed requests", f"per second{_binned(axis)}", 0.6, lambda axes: panels.failed(axes, failing)),
        Panel("error rate", f"% of the load{_binned(axis)}", 0.75, lambda axes: panels.error_rate(axes, failing, limits)),
        *_latencies(history, axis),
        Panel("breakers", "", panels.LANE_IN * (1 + max(1, len(breakers))), lambda axes: panels.breakers(axes, breakers)),
        Panel("ready replicas", "those that changed", 0.8, lambda axes: panels.ready(axes, moving)),
        Panel("cache hit rate", f"% of reads{_binned(axis)}", 0.6, lambda axes: panels.hit_ratio(axes, hit_ratio)),
        Panel("sync latency", "ms, device to device", 0.75, lambda axes: panels.sync(axes, synced)),
    ]


def _binned(axis: Axis) -> str:
    return "" if axis.bin_s == 1 else f", {axis.bin_s} s bins"


def _latencies(history: History, axis: Axis) -> list[Panel]:
    """A panel a route; the first one says which line is which quantile."""
    middles, routes = axis.middles(), history.recording.load_plans["load"].routes if "load" in history.recording.load_plans else {}

    def strip(route: str, columns: dict[float, list[float]], *, keyed: bool) -> Panel:
        limit = routes[route].maximum_ms
        return Panel(route, f"ms{_binned(axis)}", 0.75, lambda axes: panels.latency(axes, middles, columns, limit, keyed=keyed))

    return [strip(route, columns, keyed=not place) for place, (route, columns) in enumerate(latencies_ms(history, axis).items())]


def _figure(figure_class: type[Figure], axis: Axis, found: list[Mark], strips: list[Panel]) -> Figure:
    height = TOP_IN + BOTTOM_IN + sum(strip.height_in + GAP_IN for strip in strips) - GAP_IN
    figure = figure_class(figsize=(WIDTH_IN, height))
    figure.patch.set_alpha(0)
    top = height - TOP_IN
    for place, strip in enumerate(strips):
        axes = _axes(figure, (top - strip.height_in, strip.height_in), height)
        _frame(axes, axis, first=place == 0, last=place == len(strips) - 1)
        _margin(figure, strip, top / height, height)
        _shade(axes, found)
        strip.draw(axes)
        top -= strip.height_in + GAP_IN
    return figure


def _axes(figure: Figure, vertical: tuple[float, float], height: float) -> Axes:
    bottom_in, height_in = vertical
    axes = figure.add_axes((LEFT_IN / WIDTH_IN, bottom_in / height, (WIDTH_IN - LEFT_IN - RIGHT_IN) / WIDTH_IN, height_in / height))
    axes.patch.set_alpha(0)
    return axes


def _margin(figure: Figure, strip: Panel, top: float, height: float) -> None:
    """The panel's name and unit, left of it."""
    figure.text(0.005, top, strip.title, va="top", weight="bold")
    figure.text(0.005, top - 0.14 / height, strip.unit, va="top", color="#666666", size=6.5)


def _frame(axes: Axes, axis: Axis, *, first: bool, last: bool) -> None:
    """The shared axis: minutes of the hour below the last panel, seconds (in which reasons speak) above the first."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(0, axis.length_s * axis.minutes_per_s)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=13, steps=[1, 2, 5, 10]))
    axes.grid(axis="x", color=GRID, linewidth=0.4)
    axes.set_axisbelow(True)
    axes.tick_params(axis="x", labelbottom=last, length=2.5 if last else 0)
    if last:
        axes.set_xlabel("minute of the hour" if axis.length_s * axis.minutes_per_s > 1 else "minutes", labelpad=2)
    if first:
        _seconds(axes, axis)


def _seconds(axes: Axes, axis: Axis) -> None:
    seconds = axes.secondary_xaxis("top", functions=(lambda x: x / axis.minutes_per_s, lambda s: s * axis.minutes_per_s))
    seconds.set_xlabel("seconds from minute 0, as the reasons name them", labelpad=3, color="#666666", size=6.5)
    seconds.tick_params(labelsize=6.5, labelcolor="#666666", length=2)
    seconds.spines["top"].set_visible(False)


def _shade(axes: Axes, found: list[Mark]) -> None:
    for mark in found:
        if mark.healed > mark.injected:
            axes.axvspan(mark.injected, mark.healed, color="#8899aa", alpha=0.22, linewidth=0)
        axes.axvline(mark.injected, color="#445566", linewidth=0.6, linestyle=(0, (4, 2)))
