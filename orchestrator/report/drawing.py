"""A matplotlib figure as SVG that can stand inside a page: the same input gives the same bytes."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Figure = Any
Axes = Any
"""Of matplotlib, which is imported only when a picture is drawn (it takes a second)."""

STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "chaos-orchestrator",
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 7.5,
    "axes.linewidth": 0.5,
    "axes.edgecolor": "#888888",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "hatch.linewidth": 0.6,
    "path.simplify": True,
}


def svg(draw: Callable[[type[Figure]], Figure]) -> str:
    """What `draw` makes of matplotlib's Figure class, as an `<svg>` element without prolog, date and comments."""
    with _quiet(), _style():
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure as FigureClass

        figure = draw(FigureClass)
        buffer = io.StringIO()
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        FigureCanvasSVG(figure).print_svg(buffer, metadata=metadata)
    text = buffer.getvalue()
    return text[text.index("<svg") :]


@contextmanager
def _style() -> Iterator[None]:
    """Our settings alone, whatever a matplotlibrc says."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


@contextmanager
def _quiet() -> Iterator[None]:
    """Without matplotlib's talk of fonts (Chaos Toolkit logs everything) and of letters that its font lacks (the browser has them)."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        yield
