"""The one error of all clients."""

from __future__ import annotations


class Unreachable(Exception):  # noqa: N818 - one word, one meaning: it is also the reason in a gap
    """Could not look at `what` because of `why`. `status` is the HTTP status of a refusal, 0 where there was none."""

    def __init__(self, what: str, why: str, *, status: int = 0) -> None:
        super().__init__(f"{what}: {why}")
        self.what = what
        self.why = why
        self.status = status


def words(error: BaseException) -> str:
    """The error in one line: many libraries raise exceptions without text."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300] if text else type(error).__name__
