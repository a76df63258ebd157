"""Lines of a pod's log. The stamps that the node sets order them; they never become instants: a node's clock may be off."""

from __future__ import annotations

from dataclasses import dataclass

from probes.clients.kube_stream import LineStream

_NANO_DIGITS = 9


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a line stands in its log: the second and the nine digits of its stamp, and its number among those with that stamp."""

    second: str
    fraction: str
    number: int


START = Place("", "", 0)
"""Before every line."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that arrived at `t`; `stamped` is its stamp as written."""

    t: float
    stamped: str
    text: str


class LogStream(LineStream[LogLine]):
    """Lines as they come. Raises Unreachable from the iteration."""

    def item(self, line: bytes, t: float) -> LogLine:
        """The stamp, and what the container wrote."""
        return log_line(line, t)


def log_line(line: bytes, t: float) -> LogLine:
    """A line that begins with its stamp."""
    stamped, _, text = line.decode("utf-8", "replace").partition(" ")
    return LogLine(t, stamped, text)


class Places:
    """Numbers the lines of one reading. Two readings that begin at or before a stamp agree on the places of its lines."""

    def __init__(self) -> None:
        self._last = START

    def of(self, line: LogLine) -> Place:
        """The place of the reading's next line."""
        second, _, fraction = line.stamped.rstrip("Z").partition(".")
        # Some runtimes leave trailing zeros out, so the text itself does not sort.
        digits = fraction.partition("+")[0].ljust(_NANO_DIGITS, "0")
        number = self._last.number + 1 if (second, digits) == (self._last.second, self._last.fraction) else 1
        self._last = Place(second, digits, number)
        return self._last
