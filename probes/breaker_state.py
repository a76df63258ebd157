"""What one document, log line or key says about one breaker."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from probes.clients.prometheus import samples
from probes.target import CopySource, HealthSource, LogSource, MetricStateSource, State

_WORDS: dict[str, State] = {"closed": "closed", "open": "open", "half_open": "half_open", "halfopen": "half_open"}
_NUMBERS: dict[float, State] = {0.0: "closed", 1.0: "half_open", 2.0: "open"}


class Unreadable(Exception):  # noqa: N818 - the reason in a gap
    """The document does not say what the source promises; the text says why."""


@dataclass(frozen=True, slots=True)
class BreakerState:
    """A breaker's state and, where the source counts them, how often it changed."""

    state: State
    transitions: int | None = None


CLOSED = BreakerState("closed")


def breaker_state(source: HealthSource | MetricStateSource, document: object) -> BreakerState:
    """Read the state from a parsed document: JSON for kind `health`, text for kind `metric`. Raises Unreadable."""
    return _from_health(source, document) if isinstance(source, HealthSource) else _from_metric(source, str(document))


def state_in_line(source: LogSource, text: str) -> BreakerState | None:
    """The state that a log line tells; None for a line of something else. Raises Unreadable."""
    found = re.search(source.pattern, text)
    return None if found is None else BreakerState(_state(found["state"], source.words, f"the line {text[:80]!r}"))


def state_in_copy(source: CopySource, value: str | None) -> BreakerState:
    """The state that a key's value tells. Raises Unreadable."""
    if value is None:
        return CLOSED
    word = _at(parsed("copy", value.encode()), source.pointer) if source.pointer else value.strip()
    return BreakerState(_state(word, source.words, f"key {source.key}"))


def parsed(kind: str, body: bytes) -> object:
    """The body as `breaker_state` wants it. Raises Unreadable."""
    if kind == "metric":
        return body.decode("utf-8", "replace")
    try:
        return json.loads(body)
    except ValueError as error:
        raise Unreadable(f"not JSON: {body[:80]!r}") from error


def _from_health(source: HealthSource, document: object) -> BreakerState:
    word = _at(document, source.pointer)
    # Source: target description, "null = never used = closed".
    state = "closed" if word is None else _state(word, {}, source.pointer)
    return BreakerState(state, _transitions(source, document))


def _state(word: object, words: Mapping[str, State], where: str) -> State:
    state = words.get(str(word)) or _WORDS.get(str(word).lower().replace("-", "_"))
    if state is None:
        raise Unreadable(f"{where} says {word!r}, not {', '.join(words) or 'closed, open or half_open'}")
    return state


def _transitions(source: HealthSource, document: object) -> int | None:
    if not source.transitions_pointer:
        return None
    count = _at(document, source.transitions_pointer)
    if count is None:
        return 0
    if not isinstance(count, int):
        raise Unreadable(f"{source.transitions_pointer} is {count!r}, not a count")
    return count


def _from_metric(source: MetricStateSource, text: str) -> BreakerState:
    try:
        values = {sample.value for sample in samples(text, source.metric, source.labels)}
    except ValueError as error:
        raise Unreadable(str(error)) from error
    if len(values) != 1 or (state := _NUMBERS.get(values.pop())) is None:
        raise Unreadable(f"{source.metric}{dict(source.labels)} has no single value of 0, 1 or 2")
    return BreakerState(state)


def _at(document: object, pointer: str) -> object:
    """The value at a JSON pointer (RFC 6901); None where only its last step is missing or null. Raises Unreadable."""
    *parents, last = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]] or [""]
    for step in parents:
        document = _child(document, step, pointer)
        if document is None:
            raise Unreadable(f"nothing at {pointer}: {step!r} is missing")
    return _child(document, last, pointer)


def _child(document: object, step: str, pointer: str) -> object:
    if isinstance(document, dict):
        return document.get(step)
    if isinstance(document, list) and step.isdigit():
        return document[int(step)] if int(step) < len(document) else None
    raise Unreadable(f"nothing at {pointer}: no object around {step!r}")
