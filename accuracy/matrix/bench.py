"""The sandbox that the rows share: planted anew for each, made anew when it topples, always taken down."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Self

from accuracy.sandbox import DetachedSandbox, SandboxTrouble


class Bench:
    """One sandbox at a time under one name."""

    def __init__(self, name: str, say: Callable[[str], None]) -> None:
        self._name = name
        self._say = say
        self._sandbox: DetachedSandbox | None = None

    @classmethod
    @contextlib.contextmanager
    def ready(cls, name: str, say: Callable[[str], None]) -> Iterator[Self]:
        """A bench whose sandbox is up. Raises SandboxTrouble."""
        bench = cls(name, say)
        try:
            bench.renew()
            yield bench
        finally:
            bench.clear()

    def plant(self, flaws: tuple[str, ...]) -> dict[str, str]:
        """Make the sandbox as new, with these flaws; what a run on it needs in its environment. Raises SandboxTrouble."""
        if self._sandbox is None:
            self.renew()
        assert self._sandbox is not None
        self._sandbox.plant(*flaws)
        return self._sandbox.environment()

    def stands(self) -> bool:
        """Whether the sandbox still runs."""
        try:
            return self._sandbox is not None and bool(self._sandbox.status())
        except SandboxTrouble:
            return False

    def renew(self) -> None:
        """A new sandbox in place of the old one. Raises SandboxTrouble."""
        self.clear()
        self._say("starting the sandbox")
        self._sandbox = DetachedSandbox.up(self._name)

    def clear(self) -> None:
        """Take the sandbox down, if there is one; says so when it does not end."""
        sandbox, self._sandbox = self._sandbox, None
        if sandbox is None:
            return
        try:
            sandbox.down()
        except SandboxTrouble as error:
            self._say(f"taking the sandbox down: {error}")
