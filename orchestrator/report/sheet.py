"""A sheet: what is printed for a terminal, as text, with colours only where they are wanted."""

from __future__ import annotations

import io
from collections.abc import Iterable

from rich.console import Console, RenderableType

WIDTH = 100
STYLES = {"PASS": "green", "FAIL": "bold white on red", "INCONCLUSIVE": "bold yellow", None: "dim"}


def sheet(parts: Iterable[RenderableType], *, width: int = WIDTH, colour: bool | None = None) -> str:
    """The parts below each other. Colours follow the terminal (and NO_COLOR) unless told."""
    buffer = io.StringIO()
    live = Console()
    coloured = (live.is_terminal and not live.no_color) if colour is None else colour
    console = Console(
        file=buffer, width=width, force_terminal=coloured, no_color=not coloured, color_system="standard" if coloured else None
    )
    for part in parts:
        console.print(part)
    return "\n".join(line.rstrip() for line in buffer.getvalue().rstrip("\n").split("\n"))
