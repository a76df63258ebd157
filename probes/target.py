"""The target description: how to reach a platform, and what each role of an experiment means on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError


class TargetDescriptionError(Exception):
    """The description cannot be read or is wrong; the text names the file, the key and the fix."""


class Part(BaseModel):
    """Base of all parts of a description: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Scale(Part):
    """The description's default scale (design 2): offsets and holds are divided by `time`, the rate by `load`."""

    time: float = Field(default=1, ge=1)
    load: float = Field(default=1, ge=1)


class Kubernetes(Part):
    """Where the platform's namespace is."""

    kubeconfig: Path
    context: str
    namespace: str


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


class LinkRole(Part):
    """A dependency's link that passes a Toxiproxy."""

    kind: Literal["link"]
    toxiproxy_url: str
    proxy: str
    canary_path: str = Field(description="HTTP path asked through the link to feel it")
    exposure: MetricSource


class ReplicaRole(Part):
    """PostgreSQL read replicas: a StatefulSet, and the direct address of each pod."""

    kind: Literal["postgres-replica"]
    statefulset: str
    primary_dsn: str
    replica_dsns: dict[str, str] = Field(description="pod name -> DSN that reaches this replica directly")
    toxiproxy_url: str
    proxies: dict[str, str] = Field(description="pod name -> proxy in front of this replica")


class RedisRole(Part):
    """A cache whose content a fault may throw away, when the description allows it."""

    kind: Literal["redis"]
    url: str
    allow_flush: bool = False


Role = Annotated[WorkloadRole | LinkRole | ReplicaRole | RedisRole, Field(discriminator="kind")]


class BreakerSource(Part):
    """Where one breaker's state can be read in every replica of a workload.

    kind `health`: `pointer` is a JSON pointer into the document at `path` (null = never used = closed);
    `transitions_pointer` optionally points to the source's own counter of changes.
    kind `metric`: `metric` with `labels` in Prometheus text; 0 closed, 1 half-open, 2 open.
    """

    name: str
    workload: str
    port: str = "http"
    kind: Literal["health", "metric"]
    path: str
    pointer: str = ""
    transitions_pointer: str = ""
    metric: str = ""
    labels: dict[str, str] = Field(default_factory=dict)


class Delivery(Part):
    """Cross-device sync as two test devices see it: operations go through the gateway, messages come from PubNub directly."""

    origin: str
    subscribe_key: str
    channel_format: str = Field(description="e.g. user.{user_id}.sync")
    route: str = "watchlist"


class TargetDescription(Part):
    """Everything about one platform. Secrets are named by environment variable only."""

    version: Literal[1] = 1
    name: str
    scale: Scale = Scale()
    kubernetes: Kubernetes
    gateway_url: str
    users: Users
    content_id_format: str = Field(description="e.g. content-{number:05d}, numbers from 1")
    content_count: int = Field(ge=1)
    routes: dict[str, Route]
    marks: Marks = Marks()
    roles: dict[str, Role]
    breakers: list[BreakerSource] = []
    workloads: dict[str, Literal["deployments", "statefulsets"]] = Field(description="all workloads whose pods are watched")
    calls: list[MetricSource] = Field(default_factory=list, description="counters of tries; the label `dependency` names the target")
    fallbacks: list[MetricSource] = Field(default_factory=list, description="counters of fallback activations; the label `kind` names it")
    delivery: Delivery | None = None


def load_description(text: str, *, source: str) -> TargetDescription:
    """Parse and validate a description; `source` is named in errors.

    Raises TargetDescriptionError with one sentence.
    """
    try:
        return TargetDescription.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise TargetDescriptionError(f"{source} is not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the document"
        raise TargetDescriptionError(f"{source}: {key}: {first['msg']}") from error
