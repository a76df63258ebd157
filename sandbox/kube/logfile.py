"""The stored output of one container run: lines with their time, bounded on disk, readable while it grows."""

import asyncio
import os
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_ROTATE_BYTES = 10_000_000
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%f"
_FOLLOWER_BACKLOG = 10_000
_LONGEST_LINE = 262_144


@dataclass(frozen=True, slots=True)
class LogQuery:
    """What a client wants of a log: `since` is an RFC 3339 time in UTC; None leaves a bound out."""

    follow: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since: str | None = None
    limit_bytes: int | None = None


class LogFile:
    """Appends with a time stamp per line; at 10 MB the file is moved to `.1` (so at most 20 MB are kept)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = 0
        self._partial = b""
        self._followers: set[asyncio.Queue[bytes | None]] = set()
        self.closed = False

    def write(self, data: bytes) -> None:
        """Store the complete lines of this output; the rest waits for its end."""
        lines = (self._partial + data).split(b"\n")
        self._partial = lines.pop()
        if len(self._partial) > _LONGEST_LINE:
            lines.append(self._partial)
            self._partial = b""
        if lines:
            self._append(lines)

    def close(self) -> None:
        """No more output will come; followers end."""
        if self.closed:
            return
        if self._partial:
            self._append([self._partial])
        self.closed = True
        os.close(self._fd)
        for follower in self._followers:
            follower.put_nowait(None)

    def delete(self) -> None:
        """Remove the closed log from the disk."""
        for path in (self._path, self._rotated):
            path.unlink(missing_ok=True)

    def _append(self, lines: list[bytes]) -> None:
        stamp = (datetime.now(UTC).strftime(_TIME_FORMAT) + "000Z ").encode()
        stamped = [stamp + line + b"\n" for line in lines]
        block = b"".join(stamped)
        os.write(self._fd, block)
        self._size += len(block)
        for follower in tuple(self._followers):
            self._feed(follower, stamped)
        if self._size > _ROTATE_BYTES:
            self._rotate()

    def _feed(self, follower: asyncio.Queue[bytes | None], lines: list[bytes]) -> None:
        """Give a follower the new lines; one that does not keep up is let go."""
        if follower.qsize() > _FOLLOWER_BACKLOG:
            self._followers.discard(follower)
            follower.put_nowait(None)
            return
        for line in lines:
            follower.put_nowait(line)

    def _rotate(self) -> None:
        os.close(self._fd)
        self._path.replace(self._rotated)
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = 0

    @property
    def _rotated(self) -> Path:
        return self._path.with_name(self._path.name + ".1")

    def _stored(self) -> Iterator[bytes]:
        for path in (self._rotated, self._path):
            if path.exists():
                with path.open("rb") as file:
                    yield from file

    async def read(self, query: LogQuery) -> AsyncGenerator[bytes, None]:
        """The lines asked for, without their time stamps unless these are wanted too."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        follow = query.follow and not self.closed
        if follow:
            self._followers.add(queue)
        try:
            for line in _selected(self._stored(), query):
                yield line
            while follow and (new := await queue.get()) is not None:
                yield _shown(new, query)
        finally:
            self._followers.discard(queue)


def _selected(lines: Iterable[bytes], query: LogQuery) -> list[bytes]:
    since = (query.since or "").encode()
    chosen = [line for line in lines if line >= since]
    if query.tail_lines is not None:
        chosen = chosen[-query.tail_lines :] if query.tail_lines > 0 else []
    shown = [_shown(line, query) for line in chosen]
    return shown if query.limit_bytes is None else [b"".join(shown)[: query.limit_bytes]]


def _shown(line: bytes, query: LogQuery) -> bytes:
    return line if query.timestamps else line.partition(b" ")[2]
