"""The toxics of Toxiproxy 2.12, one class each; attribute names and their units are the reference's."""

from itertools import pairwise
from random import Random
from typing import ClassVar

from sandbox.toxiproxy.clock import Clock
from sandbox.toxiproxy.stages import QueueStage, Settings, Stage

MEBIBYTE = 1024 * 1024


class Latency(QueueStage):
    """Delays each chunk by latency +- jitter (ms) from its arrival; chunks overlap in time and keep their order."""

    defaults: ClassVar[Settings] = {"latency": 0, "jitter": 0}
    capacity_bytes: ClassVar[int] = 8 * MEBIBYTE

    def due_s(self, arrived_s: float, data: bytes) -> float:
        jitter_ms = self.settings["jitter"]
        delay_ms = self.settings["latency"] + self._rng.uniform(-jitter_ms, jitter_ms)
        return arrived_s + delay_ms / 1000


class Bandwidth(QueueStage):
    """Lets through `rate` KB/s (1 KB = 1000 B), at most 100 ms worth at a time; rate 0 lets nothing through."""

    defaults: ClassVar[Settings] = {"rate": 0}

    def __init__(self, settings: Settings, clock: Clock, rng: Random) -> None:
        super().__init__(settings, clock, rng)
        self._free_s = 0.0

    def pieces(self, data: bytes) -> list[bytes]:
        size = self.settings["rate"] * 100
        return cut(data, list(range(size, len(data), size))) if size else [data]

    def due_s(self, arrived_s: float, data: bytes) -> float:
        rate = self.settings["rate"]
        if rate == 0:
            return float("inf")
        return max(arrived_s, self._free_s) + len(data) / (rate * 1000)

    def released(self, due_s: float) -> None:
        self._free_s = due_s if due_s != float("inf") else self._clock.now_s()

    def _head_wait_s(self) -> float:
        # Nothing is due at rate 0; a timer needs a number, and a change of the rate sets a new one.
        return min(super()._head_wait_s(), 3600.0)


class Slicer(QueueStage):
    """Cuts chunks into pieces of about average_size +- size_variation bytes, `delay` microseconds between two."""

    defaults: ClassVar[Settings] = {"average_size": 0, "size_variation": 0, "delay": 0}
    one_per_wake: ClassVar[bool] = True

    def __init__(self, settings: Settings, clock: Clock, rng: Random) -> None:
        super().__init__(settings, clock, rng)
        self._free_s = 0.0

    @classmethod
    def objection(cls, settings: Settings) -> str | None:
        if settings["average_size"] < 1:
            return "average_size must be positive"
        if settings["size_variation"] >= settings["average_size"]:
            return "size_variation must be less than average_size"
        return None

    def pieces(self, data: bytes) -> list[bytes]:
        average, variation = self.settings["average_size"], self.settings["size_variation"]
        return cut(data, slice_points(len(data), average, variation, self._rng))

    def due_s(self, arrived_s: float, data: bytes) -> float:
        return max(arrived_s, self._free_s)

    def released(self, due_s: float) -> None:
        self._free_s = self._clock.now_s() + self.settings["delay"] / 1_000_000


class Timeout(Stage):
    """Drops all data; ends the connection after `timeout` ms without any (0 = never), and when it is deleted."""

    defaults: ClassVar[Settings] = {"timeout": 0}

    def begin(self) -> None:
        self._restart()

    def receive(self, data: bytes) -> None:
        self._restart()

    def end(self) -> None:
        self._disarm()
        self.following.end()

    def change(self, settings: Settings) -> None:
        super().change(settings)
        self._restart()

    def removed(self) -> None:
        self.end()

    def _restart(self) -> None:
        self._disarm()
        if self.settings["timeout"] > 0:
            self._arm(self.settings["timeout"] / 1000, self.end)


class ResetPeer(Stage):
    """Waits for data or the end, drops it and closes after `timeout` ms: RST on connections opened since, else FIN."""

    defaults: ClassVar[Settings] = {"timeout": 0}
    resets_on_close: ClassVar[bool] = True

    def __init__(self, settings: Settings, clock: Clock, rng: Random) -> None:
        super().__init__(settings, clock, rng)
        self._triggered = False

    def receive(self, data: bytes) -> None:
        self._trigger()

    def end(self) -> None:
        self._trigger()

    def flush(self) -> None:
        super().flush()
        if self._triggered:
            self.following.end()

    def _trigger(self) -> None:
        if not self._triggered:
            self._triggered = True
            self._arm(self.settings["timeout"] / 1000, self._close)

    def _close(self) -> None:
        self.following.end()


class SlowClose(Stage):
    """Delays the end of the stream by `delay` ms."""

    defaults: ClassVar[Settings] = {"delay": 0}

    def __init__(self, settings: Settings, clock: Clock, rng: Random) -> None:
        super().__init__(settings, clock, rng)
        self._ending = False

    def end(self) -> None:
        if self._ending:
            return
        self._ending = True
        self._arm(self.settings["delay"] / 1000, self._close)

    def flush(self) -> None:
        super().flush()
        if self._ending:
            self.following.end()

    def _close(self) -> None:
        self.following.end()


class LimitData(Stage):
    """Ends the connection when `bytes` bytes have passed, counted for each connection since the toxic is there."""

    defaults: ClassVar[Settings] = {"bytes": 0}

    def __init__(self, settings: Settings, clock: Clock, rng: Random) -> None:
        super().__init__(settings, clock, rng)
        self._passed_bytes = 0

    def receive(self, data: bytes) -> None:
        allowed = data[: max(0, self.settings["bytes"] - self._passed_bytes)]
        if allowed:
            self._passed_bytes += len(allowed)
            self.following.receive(allowed)
        if self._passed_bytes >= self.settings["bytes"]:
            self.following.end()


STAGES: dict[str, type[Stage]] = {
    "noop": Stage,
    "latency": Latency,
    "bandwidth": Bandwidth,
    "slow_close": SlowClose,
    "timeout": Timeout,
    "reset_peer": ResetPeer,
    "slicer": Slicer,
    "limit_data": LimitData,
}


def cut(data: bytes, points: list[int]) -> list[bytes]:
    """The pieces of data between rising offsets."""
    edges = [0, *points, len(data)]
    return [data[start:stop] for start, stop in pairwise(edges)]


def slice_points(size: int, average: int, variation: int, rng: Random) -> list[int]:
    """Rising offsets that cut `size` bytes by halving until every piece is within average + variation."""
    points: list[int] = []
    spans = [(0, size)]
    while spans:
        start, stop = spans.pop()
        if stop - start - average <= variation:
            points.append(stop)
            continue
        middle = (start + stop) // 2 + rng.randint(-variation, variation)
        middle = min(max(middle, start + 1), stop - 1)
        spans += [(middle, stop), (start, middle)]
    return points[:-1]
