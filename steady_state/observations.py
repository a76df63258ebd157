"""The lines of a recording. One pydantic model a kind; the recording is the only bridge between doing and judging.

All instants (`t`, `from_t`, `to_t` ...) are seconds of CLOCK_MONOTONIC. `seq` counts the lines from 0 without holes, so
that a lost line shows. The models are the border: inside the judge they are read once into plain columns.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

from steady_state.load_plan import LoadPlan
from steady_state.outcomes import Outcome

SCHEMA_VERSION = 3
"""Of recordings that are written now. It rises when older code would misread them; what older versions lack has a default.

2: several workers may share a source, so that a second has several tallies. 3: a held fault has a second proof, `still_felt`.
"""


class Line(BaseModel):
    """What all lines share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seq: int = -1
    t: float = Field(allow_inf_nan=False, description="instant of the observation, seconds")


class RunLine(Line):
    """First line: identity of the run and the tie between the monotonic clock and wall time."""

    kind: Literal["run"] = "run"
    schema_version: int = SCHEMA_VERSION
    run_id: str
    seed: int
    wall: str = Field(description="UTC wall time at `t`, ISO 8601")
    versions: dict[str, str]
    plan: dict[str, JsonValue] = Field(description="the validated plan, scaled, as the judge needs it (JudgedPlan)")


class LoadPlanLine(Line):
    """A source of requests starts; all due instants follow from it."""

    kind: Literal["load_plan"] = "load_plan"
    plan: LoadPlan


class LoadEndLine(Line):
    """A source stopped on purpose: nothing is due from `end_s` on."""

    kind: Literal["load_end"] = "load_end"
    source: str
    end_s: float


class RouteTally(BaseModel):
    """One route in one second of due instants."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    due: int
    counts: dict[Outcome, int]
    latency: list[tuple[int, int]] = Field(description="served latency in microseconds, HdrHistogram index (2 digits) and count")


class TallyLine(Line):
    """One worker's requests of a source that were due in [plan.start_s + second, + 1 s). Written once, when each has its outcome."""

    kind: Literal["tally"] = "tally"
    source: str
    second: int
    routes: dict[str, RouteTally]
    lagged: int = Field(default=0, description="requests sent, or answers read, more than 50 ms late because the generator lagged")
    lag_max_ms: float = 0.0
    workers: tuple[int, ...] = Field(default=(0,), description="whose counts these are: one worker's as written, more after merging")


class RequestLine(Line):
    """A request that was not served fresh, cached or as a fallback within its route's maximum. `t` is its due instant."""

    kind: Literal["request"] = "request"
    source: str
    route: str
    number: int
    outcome: Outcome
    latency_ms: float = Field(description="from the due instant to the outcome")
    status: int = Field(default=0, description="HTTP status, 0 where there was none")


class ExemplarLine(Line):
    """A failing request whole, a few a second. `t` is its due instant."""

    kind: Literal["exemplar"] = "exemplar"
    source: str
    route: str
    number: int
    outcome: Outcome
    status: int
    detail: str = Field(description="error text or the first 400 characters of the body")
    served_by: str = ""


class PhaseLine(Line):
    """The run enters a phase; `timeline` is minute 0 of the hour, `end` its planned end."""

    kind: Literal["phase"] = "phase"
    phase: Literal["preparing", "baseline_check", "timeline", "end", "draining", "aborting"]
    detail: str = ""


class FaultLine(Line):
    """One step in the life of one fault. `injecting` is I, the instant just before the write; `healed` is H.

    `still_felt` is a second proof, shortly before a held fault is taken away.
    """

    kind: Literal["fault"] = "fault"
    fault: str
    phase: Literal["prepared", "exposure", "injecting", "injected", "proof", "still_felt", "healing", "healed", "failed", "heal_failed"]
    data: dict[str, JsonValue] = Field(default_factory=dict)


class PodState(BaseModel):
    """One pod as the API server shows it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    ready: bool
    restarts: int = 0
    ip: str = ""


class PodsLine(Line):
    """The pods of one workload after a change (and once at the start). `t` is the arrival on our clock."""

    kind: Literal["pods"] = "pods"
    workload: str
    pods: list[PodState]


class BreakerLine(Line):
    """The state of one breaker in one replica: first sight and each change. `previous_t` is the sample before."""

    kind: Literal["breaker"] = "breaker"
    breaker: str
    replica: str
    state: Literal["closed", "open", "half_open"]
    previous_t: float | None = None
    transitions: int | None = Field(default=None, description="the source's own counter of changes, where it has one")
    source: Literal["health", "metric", "log", "copy"] = Field(
        default="health", description="`copy`: a key that says what some replica once was"
    )


def breaker_subject(breaker: str, replica: str, source: str) -> str:
    """The name of one breaker in one replica, as one source tells it, in beats and gaps.

    Old recordings know no sources, so that of the health document is not named.
    """
    return f"{breaker}/{replica}" if source == "health" else f"{breaker}/{replica} ({source})"


class CacheLine(Line):
    """Counters of the cache itself (INFO)."""

    kind: Literal["cache"] = "cache"
    hits: int
    misses: int
    flushes: int
    keys: int


class ReplicaState(BaseModel):
    """One standby as the primary sees it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    state: str
    lag_bytes: int


class ReplicationLine(Line):
    """All standbys of the primary; one that is away is missing."""

    kind: Literal["replication"] = "replication"
    replicas: list[ReplicaState]


class OperationLine(Line):
    """A numbered sync operation was answered on device A. `t` is the instant it was sent."""

    kind: Literal["operation"] = "operation"
    number: int
    user: str
    accepted: bool
    queued: bool = False


class DeliveryLine(Line):
    """A sync operation arrived on device B at `t`."""

    kind: Literal["delivery"] = "delivery"
    number: int
    user: str


class CallsLine(Line):
    """Cumulative tries at each dependency as one pod counts them; a new pod starts at zero."""

    kind: Literal["calls"] = "calls"
    pod: str
    calls: dict[str, int]
    errors: dict[str, int] = Field(default_factory=dict, description="of these, the tries that failed (label outcome=error)")
    fallbacks: dict[str, int] = Field(default_factory=dict)


class HostLine(Line):
    """What the machine that ran us did in the second before `t`; shares of the time of all its processors, 0 to 1."""

    kind: Literal["host"] = "host"
    steal_ratio: float = Field(description="time that the hypervisor gave to others although this machine wanted it")
    busy_ratio: float = Field(description="time in which its processors worked, for us or for others on it")


class BeatLine(Line):
    """A probe is alive: how often it saw each of its subjects in the second before `t`."""

    kind: Literal["beat"] = "beat"
    probe: str
    seen: dict[str, int]


class GapLine(Line):
    """A probe saw nothing of a subject from `from_t` to `t`."""

    kind: Literal["gap"] = "gap"
    probe: str
    subject: str
    from_t: float
    reason: str


class NoteLine(Line):
    """Words for the reader: an operator's note, a harness trouble."""

    kind: Literal["note"] = "note"
    text: str
    data: dict[str, Any] = Field(default_factory=dict)


class EndLine(Line):
    """Last line: how the run ended. A recording without it was cut off."""

    kind: Literal["finished"] = "finished"
    ended: Literal["completed", "aborted", "refused", "error"]
    reason: str = ""


Observation = Annotated[
    RunLine
    | LoadPlanLine
    | LoadEndLine
    | TallyLine
    | RequestLine
    | ExemplarLine
    | PhaseLine
    | FaultLine
    | PodsLine
    | BreakerLine
    | CacheLine
    | ReplicationLine
    | OperationLine
    | DeliveryLine
    | CallsLine
    | HostLine
    | BeatLine
    | GapLine
    | NoteLine
    | EndLine,
    Field(discriminator="kind"),
]
OBSERVATION: TypeAdapter[Observation] = TypeAdapter(Observation)
