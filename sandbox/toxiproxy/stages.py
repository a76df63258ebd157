"""Stages: what a toxic's chain is made of, one object per toxic, direction and connection."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from random import Random
from typing import ClassVar, Protocol

from sandbox.toxiproxy.clock import Clock, Timer

Settings = Mapping[str, int]


class Receiver(Protocol):
    """Anything that takes a stream of bytes and its end."""

    def receive(self, data: bytes) -> None: ...

    def end(self) -> None: ...


class Stage:
    """Passes everything on as it comes; the base of every toxic. The link sets `following` before the first byte."""

    defaults: ClassVar[Settings] = {}
    resets_on_close: ClassVar[bool] = False

    def __init__(self, settings: Settings, clock: Clock, rng: Random) -> None:
        self.settings = settings
        self.following: Receiver
        self.on_released: Callable[[], None] = lambda: None
        self._clock = clock
        self._rng = rng
        self._timer: Timer | None = None

    @classmethod
    def objection(cls, settings: Settings) -> str | None:
        """Why these settings cannot work, or None."""
        return None

    @property
    def is_full(self) -> bool:
        """Whether so much is held that the source has to wait."""
        return False

    def begin(self) -> None:
        """Called once, when the stage stands in its chain."""

    def receive(self, data: bytes) -> None:
        self.following.receive(data)

    def end(self) -> None:
        self.following.end()

    def change(self, settings: Settings) -> None:
        """Take new settings in the middle of the stream."""
        self.settings = settings

    def flush(self) -> None:
        """Hand on at once everything that is held: the stage leaves the chain."""
        self._disarm()

    def removed(self) -> None:
        """The toxic was deleted."""
        self.flush()

    def _arm(self, wait_s: float, call: Callable[[], None]) -> None:
        self._disarm()
        self._timer = self._clock.after(wait_s, call)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class QueueStage(Stage, ABC):
    """Holds chunks in order and releases the head when it is due; the end of the stream waits for the last chunk."""

    capacity_bytes: ClassVar[int] = 64 * 1024
    one_per_wake: ClassVar[bool] = False

    def __init__(self, settings: Settings, clock: Clock, rng: Random) -> None:
        super().__init__(settings, clock, rng)
        self._queue: deque[tuple[float, bytes]] = deque()
        self._held_bytes = 0
        self._head_due_s: float | None = None
        self._ending = False

    @abstractmethod
    def due_s(self, arrived_s: float, data: bytes) -> float:
        """When the head may leave; asked once for each head."""

    def pieces(self, data: bytes) -> list[bytes]:
        """How a chunk is cut on arrival."""
        return [data]

    def released(self, due_s: float) -> None:
        """A piece that was due at due_s has left."""

    @property
    def is_full(self) -> bool:
        return self._held_bytes > self.capacity_bytes

    def receive(self, data: bytes) -> None:
        now_s = self._clock.now_s()
        self._queue.extend((now_s, piece) for piece in self.pieces(data))
        self._held_bytes += len(data)
        if self._timer is None:
            self._release_due()

    def end(self) -> None:
        self._ending = True
        if not self._queue:
            self.following.end()

    def change(self, settings: Settings) -> None:
        """New settings hold for everything that has not left yet; times run from each chunk's arrival."""
        super().change(settings)
        self._recut()
        self._head_due_s = None
        self._disarm()
        self._release_due()

    def flush(self) -> None:
        super().flush()
        while self._queue:
            self._pass_head_on()
        if self._ending:
            self.following.end()

    def _recut(self) -> None:
        held = list(self._queue)
        self._queue = deque((arrived_s, piece) for arrived_s, data in held for piece in self.pieces(data))

    def _release_due(self) -> None:
        self._timer = None
        left = 0
        while self._queue:
            wait_s = self._head_wait_s()
            if wait_s > 0 or (left and self.one_per_wake):
                self._arm(wait_s, self._release_due)
                break
            self._pass_head_on()
            left += 1
        if left:
            self.on_released()
        if self._ending and not self._queue:
            self.following.end()

    def _head_wait_s(self) -> float:
        if self._head_due_s is None:
            self._head_due_s = self.due_s(*self._queue[0])
        return self._head_due_s - self._clock.now_s()

    def _pass_head_on(self) -> None:
        _, data = self._queue.popleft()
        self._held_bytes -= len(data)
        if self._head_due_s is not None:
            self.released(self._head_due_s)
        self._head_due_s = None
        self.following.receive(data)
