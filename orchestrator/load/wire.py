"""What is said between the run and a worker that serves its lines: one GET, because that is the verb which reaches a pod through the
API server (ADR 27)."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

PORT = 8090
PATH = "/lines"
KEY_HEADER = "X-Chaos-Key"
"""Not in the query, which the API server's audit log keeps."""
GONE_ON = 409
"""Status of the answer where the worker does not have the lines that were asked for."""

State = Literal["waiting", "working", "ended"]


class Question(BaseModel):
    """The query of the GET. What it tells may be told again and again: only the first time counts."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    first: int = Field(ge=0, description="lines from this number on; those before it have arrived")
    start_s: float | None = Field(default=None, description="the plan starts at this instant of the run's clock")
    ahead_s: float | None = Field(default=None, description="what the run's clock shows more than the worker's")
    stop_s: float | None = Field(default=None, description="nothing is due from this instant of the run's clock on")

    @model_validator(mode="after")
    def _start_has_a_clock(self) -> Self:
        if (self.start_s is None) is not (self.ahead_s is None):
            raise ValueError("start_s and ahead_s go together")
        return self

    def query(self) -> dict[str, str]:
        """As text that loses no digit."""
        return {name: repr(value) for name, value in self.model_dump(exclude_none=True).items()}


class Report(BaseModel):
    """The first line of the answer; the lines that were asked for come after it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    now_s: float = Field(description="the worker's own CLOCK_MONOTONIC")
    first: int
    count: int
    state: State


def written(report: Report, lines: list[str]) -> bytes:
    """`report.count` is the number of lines."""
    return "\n".join([report.model_dump_json(), *lines, ""]).encode()


def read(body: bytes) -> tuple[Report, list[bytes]]:
    """Raises ValueError for anything that is not a whole answer."""
    first, *lines = body.split(b"\n")
    try:
        report = Report.model_validate_json(first)
    except ValidationError as error:
        raise ValueError(f"the answer is none of a load worker: {first[:100]!r}") from error
    if not lines or lines.pop() or len(lines) != report.count:
        raise ValueError("the answer was cut off")
    return report, lines
