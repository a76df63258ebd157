"""The replicated data types of sync: a hybrid logical clock, an observed-remove set, a last-writer-wins register."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, order=True)
class Stamp:
    """A hybrid logical time: wall clock in ms, then a counter, then the node; its text sorts like itself."""

    wall_ms: int
    counter: int
    node: str

    def __str__(self) -> str:
        return f"{self.wall_ms:013d}-{self.counter:05d}-{self.node}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The stamp of a text; raises ValueError for anything else."""
        wall, counter, node = text.split("-", 2)
        return cls(int(wall), int(counter), node)


class HybridClock:
    """Stamps that only grow, also when the wall clock steps back, and that are later than every stamp seen."""

    def __init__(self, node: str, wall_ms: Callable[[], int]) -> None:
        self._node = node
        self._wall_ms = wall_ms
        self._wall = 0
        self._counter = 0

    def now(self, seen: Iterable[Stamp] = ()) -> Stamp:
        """The next stamp, later than all before it and than those seen."""
        for stamp in seen:
            self._wall, self._counter = max((self._wall, self._counter), (stamp.wall_ms, stamp.counter))
        wall = self._wall_ms()
        if wall > self._wall:
            self._wall, self._counter = wall, 0
        else:
            self._counter += 1
        return Stamp(self._wall, self._counter, self._node)


@dataclass(frozen=True, slots=True)
class Element:
    """One element of an observed-remove set: it is in the set while it has an add tag that no remove has seen."""

    add_tags: frozenset[str] = frozenset()
    removed_tags: frozenset[str] = frozenset()

    @property
    def present(self) -> bool:
        """Whether the element is in the set."""
        return bool(self.add_tags - self.removed_tags)

    def add(self, tag: str) -> "Element":
        """The element after an add with a tag of its own."""
        return Element(self.add_tags | {tag}, self.removed_tags)

    def remove(self) -> "Element":
        """The element after a remove, which takes away the adds that it has seen, and no others."""
        return Element(self.add_tags, self.removed_tags | self.add_tags)

    def merge(self, other: "Element") -> "Element":
        """What two replicas hold together: commutative, associative, idempotent."""
        return Element(self.add_tags | other.add_tags, self.removed_tags | other.removed_tags)


@dataclass(frozen=True, slots=True)
class Register:
    """A last-writer-wins register: the later stamp keeps its value."""

    stamp: Stamp
    value: tuple[int, int, str]

    def merge(self, other: "Register") -> "Register":
        """The one of both that was written last."""
        return max(self, other, key=lambda register: register.stamp)
