"""A pod's counters as if its container had never restarted: a counter that is smaller than before began again at zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from steady_state.observations import CallsLine


def since_first(lines: Sequence[CallsLine]) -> list[CallsLine]:
    """The lines of one pod, in order, with counters that never fall."""
    columns = zip(
        _accumulated([line.calls for line in lines]),
        _accumulated([line.errors for line in lines]),
        _accumulated([line.fallbacks for line in lines]),
        strict=True,
    )
    return [
        line.model_copy(update={"calls": calls, "errors": errors, "fallbacks": fallbacks})
        for line, (calls, errors, fallbacks) in zip(lines, columns, strict=True)
    ]


def _accumulated(readings: Sequence[Mapping[str, int]]) -> list[dict[str, int]]:
    total: dict[str, int] = {}
    last: Mapping[str, int] = {}
    found = []
    for reading in readings:
        for name, count in reading.items():
            before = last.get(name, 0)
            total[name] = total.get(name, 0) + (count - before if count >= before else count)
        found.append(dict(total))
        last = reading
    return found
