"""The target description: how to reach a platform, and what each role of an experiment means on it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from probes.filled import filled


class TargetDescriptionError(Exception):
    """The description cannot be read or is wrong; the text names the file, the key and the fix."""


class Part(BaseModel):
    """Base of all parts of a description: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Scale(Part):
    """The description's default scale (design 2): offsets and holds are divided by `time`, the rate by `load`."""

    time: float = Field(default=1, ge=1)
    load: float = Field(default=1, ge=1)


class TargetLoad(Part):
    """Where the traffic comes from: `open_loop` is a process of ours; `none` is the platform's own, of which no rate is known."""

    engine: Literal["open_loop", "none"] = "open_loop"


class JobLoad(Part):
    """The load comes from pods of the platform's cluster: an Indexed Job that is made for the time of a run."""

    engine: Literal["job"]
    workers: int = Field(ge=1, le=64, description="pods that share the arrivals")
    namespace: str = Field(
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", description="where the Job is made; best not the platform's own"
    )
    image: str = Field(min_length=1, description="an image of this orchestrator")
    gateway_url: str = Field(
        default="", pattern=r"^(https?://[^/\s]+\S*)?$", description="as a pod reaches it, where that is not gateway_url"
    )
    off_nodes: list[str] = Field(default_factory=list, description="nodes that get no worker, because the experiments attack them")


Load = Annotated[TargetLoad | JobLoad, Field(discriminator="engine")]


class Kubernetes(Part):
    """Where the platform's namespace is."""

    kubeconfig: Path
    context: str
    namespace: str
    cluster_uid: str | None = Field(
        default=None, description="uid of the namespace kube-system: a run on a context that leads elsewhere is refused"
    )
    mirror_ledger: bool = Field(
        default=True, description="open receipts also in a ConfigMap of the namespace, so that any machine can heal"
    )


class BlastCaps(Part):
    """How much one fault may take at once."""

    pods: int = Field(default=1, ge=1, description="pods of one role")
    share: float = Field(default=0.5, gt=0, le=1, description="share of a role's ready pods; a plan may take the last one where it says so")


class Users(Part):
    """Test users and how they log in. The password comes from the environment, never from this file."""

    count: int = Field(ge=1)
    id_format: str = Field(description="e.g. user-{number:04d}, numbers from 1")
    login_path: str
    password_env: str
    token_field: str = "access_token"


class Check(Part):
    """What makes a 200 answer right: a JSON list that must not be empty, or a value that must equal the request's."""

    non_empty: str | None = Field(default=None, description="dotted path of a list that must have items, e.g. results")
    equals: dict[str, str] = Field(default_factory=dict, description="dotted path -> template, e.g. content.id: '{content_id}'")


class Route(Part):
    """One user-visible route of the gateway.

    `path`, `body` and `check` may use {query} (half of the draws from a small popular set, half new: spec 4.1),
    {content_id}, {user_id} and {operation_id}.
    """

    method: Literal["GET", "POST"]
    path: str
    body: JsonValue = None
    check: Check = Check()
    authenticated_ratio: float = Field(ge=0, le=1, description="share of this route's calls that carry a token")
    maximum_ms: float = Field(gt=0, description="p95 limit of the route")
    served_within_ms: float = Field(default=2000, gt=0)
    stale_after_s: float | None = Field(default=None, description="a degraded answer older than this is stale beyond its limit")


class Marks(Part):
    """Response headers by which the platform says how an answer was made."""

    cached_header: str = "X-Cache"
    cached_value: str = "HIT"
    degraded_header: str = "X-Degraded"
    age_header: str = "Age"
    served_by_header: str = "X-Served-By"


class MetricSource(Part):
    """A counter in the Prometheus text of every pod of a workload."""

    workload: str
    port: str = "http"
    path: str = "/metrics"
    metric: str
    labels: dict[str, str] = Field(default_factory=dict)


class WorkloadRole(Part):
    """Pods behind a Deployment or StatefulSet."""

    kind: Literal["workload"]
    workload: str = Field(description="name of the Deployment or StatefulSet; its selector finds the pods")
    resource: Literal["deployments", "statefulsets"] = "deployments"
    port: str = "http"
    exposure: MetricSource


class RedisPeers(Part):
    """CLIENT LIST of the dependency tells who is connected. `url` should lead to the server itself."""

    kind: Literal["redis"]
    url: str = Field(pattern=r"^(redis|rediss|unix)://\S+$")


class PostgresPeers(Part):
    """pg_stat_activity of the dependency tells who is connected. `dsn` should lead to the server itself."""

    kind: Literal["postgres"]
    dsn: str


Peers = Annotated[RedisPeers | PostgresPeers, Field(discriminator="kind")]
"""Where a dependency tells its connections. Qdrant and HTTP servers in general have no such place."""


class Interpose(Part):
    """A Service by which the application reaches a dependency: for the time of a run it leads to a Toxiproxy first.

    Toxiproxy's own Service and pod stay as they are; the proxy in it is made for the run and taken away after it.
    """

    service: str
    port: str = Field(description="the link's port of the Service, by its name or number")
    proxy_selector: dict[str, str] = Field(min_length=1, description="labels of the one pod of Toxiproxy at toxiproxy_url")
    proxy_port: int = Field(gt=0, lt=65536, description="free port of that pod, on which the proxy listens")
    other_ports: dict[str, int] = Field(
        default_factory=dict, description="each further port of the Service -> free port of that pod; they pass as well, without faults"
    )
    peers: Peers | None = None


class LinkRole(Part):
    """A dependency's link that passes a Toxiproxy, always or (`interpose`) for the time of a run.

    The canary that feels the link asks `canary_path` by HTTP at the proxy (through the API server where it is interposed), or
    does the least that there is at `canary_url`, which must lead through the link: PING, SELECT 1, or GET.
    """

    kind: Literal["link"]
    toxiproxy_url: str
    proxy: str
    canary_path: str = Field(default="", description="HTTP path asked through the link to feel it")
    canary_url: str = Field(default="", pattern=r"^((redis|rediss|postgres|postgresql|http|https)://\S+)?$")
    exposure: MetricSource
    interpose: Interpose | None = None

    @model_validator(mode="after")
    def _has_one_canary(self) -> Self:
        if bool(self.canary_path) == bool(self.canary_url):
            raise ValueError("give either canary_path (HTTP at the proxy) or canary_url (an address that leads through the link)")
        return self


class ReplicaRole(Part):
    """PostgreSQL read replicas: a StatefulSet, and the direct address of each pod."""

    kind: Literal["postgres-replica"]
    statefulset: str
    primary_dsn: str
    replica_dsns: dict[str, str] = Field(description="pod name -> DSN that reaches this replica directly")
    toxiproxy_url: str
    proxies: dict[str, str] = Field(description="pod name -> proxy in front of this replica")
    link_dsns: dict[str, str] = Field(
        default_factory=dict, description="pod name -> DSN through its proxy, where that is not the address on which the proxy listens"
    )
    interpose: dict[str, Interpose] = Field(default_factory=dict, description="pod name -> the Service by which the application reaches it")

    @model_validator(mode="after")
    def _feels_what_is_interposed(self) -> Self:
        for pod in self.interpose:
            if pod not in self.proxies or pod not in self.link_dsns:
                raise ValueError(f"interpose.{pod} needs entries of {pod} in proxies (a name) and in link_dsns (through the Service)")
        return self


class RedisRole(Part):
    """A cache whose content a fault may throw away, when the description allows it."""

    kind: Literal["redis"]
    url: str
    allow_flush: bool = False


class PackageRole(Part):
    """What faults from a package outside this one act on; `settings` are checked by that package."""

    kind: Literal["package"]
    package: str = Field(pattern=r"^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*$", description="the Python package, e.g. chaos_nodes")
    workload: str | None = Field(default=None, description="the workload whose replicas the faults take away, where they do")
    settings: dict[str, JsonValue] = Field(default_factory=dict)


Role = Annotated[WorkloadRole | LinkRole | ReplicaRole | RedisRole | PackageRole, Field(discriminator="kind")]


State = Literal["closed", "open", "half_open"]


class PageSource(Part):
    """A page that tells a breaker's state: of every pod of a workload, or at `url` for the one replica that it names."""

    name: str
    workload: str = ""
    port: str = "http"
    path: str = ""
    url: str = Field(default="", pattern=r"^(https?://[^/\s]+\S*)?$", description="absolute; instead of workload, port and path")
    replica: str = Field(default="", description="the replica's name, with `url`")

    @model_validator(mode="after")
    def _has_one_place(self) -> Self:
        in_pods, at_url = self.workload or self.path, self.url or self.replica
        if in_pods and at_url:
            raise ValueError("give either workload and path, or url and replica, not both")
        if not (self.workload and self.path) and not (self.url and self.replica):
            raise ValueError("give workload and path (of its pods), or url and replica")
        return self


class HealthSource(PageSource):
    """A JSON document with the state at `pointer`, a JSON pointer (null = never used = closed).

    `transitions_pointer` optionally points to the source's own counter of changes.
    """

    kind: Literal["health"]
    pointer: str = Field(pattern=r"^/")
    transitions_pointer: str = Field(default="", pattern=r"^(/.*)?$")


class MetricStateSource(PageSource):
    """`metric` with `labels` in Prometheus text; 0 closed, 1 half-open, 2 open."""

    kind: Literal["metric"]
    metric: str = Field(min_length=1)
    labels: dict[str, str] = Field(default_factory=dict)


class LogSource(Part):
    """Lines that every pod of a workload writes when its breaker changes; no line since the container started = closed."""

    kind: Literal["log"]
    name: str
    workload: str = Field(min_length=1)
    pattern: str = Field(description="regular expression of such a line, with a group (?P<state>...)")
    words: dict[str, State] = Field(default_factory=dict, description="what the group says -> state; closed, open, half_open need no entry")

    @field_validator("pattern")
    @classmethod
    def _has_a_state(cls, pattern: str) -> str:
        try:
            groups = re.compile(pattern).groupindex
        except re.error as error:
            raise ValueError(f"it is no regular expression ({error}): mend it") from error
        if "state" not in groups:
            raise ValueError("it has no group for the state: write (?P<state>...) around the word")
        return pattern


class CopySource(Part):
    """A Redis key into which some replica copies its breaker's state. It says what one replica once was, never who.

    No key = closed: so begins whoever starts and finds none.
    """

    kind: Literal["copy"]
    name: str
    url: str = Field(pattern=r"^(redis|rediss|unix)://\S+$", description="redis://host:port/database")
    key: str = Field(min_length=1)
    pointer: str = Field(default="", pattern=r"^(/.*)?$", description="JSON pointer into the value; empty: the value is the word")
    words: dict[str, State] = Field(default_factory=dict, description="what the value says -> state; closed, open, half_open need no entry")


BreakerSource = Annotated[HealthSource | MetricStateSource | LogSource | CopySource, Field(discriminator="kind")]
"""One place where one breaker's state can be read. A breaker may have several."""


class Delivery(Part):
    """Cross-device sync as two test devices see it: operations go through the gateway, messages come from PubNub directly."""

    origin: str
    subscribe_key: str
    channel_format: str = Field(description="e.g. user.{user_id}.sync")
    route: str = "watchlist"


class TargetDescription(Part):
    """Everything about one platform. Secrets are named by environment variable only.

    What a platform does not have is left out: `kubernetes` (then nothing of pods is seen), `users` (then no route needs a token).
    """

    version: Literal[1] = 1
    name: str
    scale: Scale = Scale()
    load: Load = TargetLoad()
    shares_our_machine: bool = Field(default=False, description="the platform's pods run on the machine on which the orchestrator runs")
    kubernetes: Kubernetes | None = None
    blast_caps: BlastCaps = BlastCaps()
    gateway_url: str
    users: Users | None = None
    content_id_format: str = Field(description="e.g. content-{number:05d}, numbers from 1")
    content_count: int = Field(ge=1)
    routes: dict[str, Route]
    marks: Marks = Marks()
    roles: dict[str, Role]
    breakers: list[BreakerSource] = []
    workloads: dict[str, Literal["deployments", "statefulsets"]] = Field(
        default_factory=dict, description="all workloads whose pods are watched"
    )
    calls: list[MetricSource] = Field(default_factory=list, description="counters of tries; the label `dependency` names the target")
    fallbacks: list[MetricSource] = Field(default_factory=list, description="counters of fallback activations; the label `kind` names it")
    delivery: Delivery | None = None

    @property
    def cluster(self) -> Kubernetes:
        """Where the pods are. Raises TargetDescriptionError on a platform without."""
        if self.kubernetes is None:
            raise TargetDescriptionError(f"target {self.name} declares no cluster: add kubernetes to its description")
        return self.kubernetes

    @property
    def breaker_workloads(self) -> dict[str, str]:
        """Each breaker, once, with the workload whose pods have it; empty where it is read from no pod."""
        read = {source.name: "" for source in self.breakers}
        return read | {source.name: source.workload for source in self.breakers if not isinstance(source, CopySource) and source.workload}

    @model_validator(mode="after")
    def _has_what_its_parts_need(self) -> Self:
        needy = {"workloads": self.workloads, "calls": self.calls, "fallbacks": self.fallbacks, "breakers": _in_pods(self.breakers)}
        for key, parts in needy.items():
            if self.kubernetes is None and parts:
                raise ValueError(f"{key} are read from pods, but there is no cluster: add kubernetes or leave {key} out")
        if self.kubernetes is None and isinstance(self.load, JobLoad):
            raise ValueError("load.engine job makes pods, but there is no cluster: add kubernetes or choose another engine")
        if self.users is None and self.delivery is not None:
            raise ValueError("delivery needs test users: add users or leave delivery out")
        for name, route in self.routes.items():
            if self.users is None and route.authenticated_ratio > 0:
                raise ValueError(f"routes.{name}.authenticated_ratio needs test users: add users or make it 0")
        return self

    @model_validator(mode="after")
    def _tells_its_sources_apart(self) -> Self:
        seen: set[tuple[str, str, str]] = set()
        for source in self.breakers:
            place = _place(source)
            # Their subjects in beats and gaps would be the same.
            if (source.name, source.kind, place) in seen:
                raise ValueError(f"breakers: {source.name} has two sources of kind {source.kind} that nothing tells apart: leave one out")
            seen.add((source.name, source.kind, place))
        return self


def _place(source: BreakerSource) -> str:
    if isinstance(source, CopySource):
        return ""
    return source.workload if isinstance(source, LogSource) else source.workload or source.replica


def _in_pods(sources: list[BreakerSource]) -> list[str]:
    """Names of the breakers that are read from pods."""
    return [source.name for source in sources if not isinstance(source, CopySource) and source.workload]


def load_description(text: str, *, source: str, strict: bool = True) -> TargetDescription:
    """Parse and validate a description, with values of the environment where it says ${NAME}; `source` is named in errors.

    Not `strict`, for a heal: an address whose secret is not there stays as it is. Raises TargetDescriptionError with one sentence.
    """
    try:
        return TargetDescription.model_validate(filled(yaml.safe_load(text), os.environ, strict=strict))
    except yaml.YAMLError as error:
        raise TargetDescriptionError(f"{source} is not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the document"
        raise TargetDescriptionError(f"{source}: {key}: {_words(first)}") from error
    except ValueError as error:
        raise TargetDescriptionError(f"{source}: {error}") from error


def _words(error: ErrorDetails) -> str:
    if error["type"] == "union_tag_not_found":
        return f"there is no {error['ctx']['discriminator']}: add it"
    return error["msg"].removeprefix("Value error, ")
