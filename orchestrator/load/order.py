"""What the run tells a load worker: one JSON document on its stdin."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from probes.target import Marks, Route
from steady_state.load_plan import LoadPlan

# Ids and names are put into paths and JSON bodies as they are, so they may not need escaping.
PlainId = Annotated[str, StringConstraints(pattern=r"^[\w.:@-]+$")]
HeaderValue = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]+$")]


class OrderPart(BaseModel):
    """Base of all parts of an order. Values never show in errors: an order holds tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class KnownUser(OrderPart):
    """A test user who has logged in."""

    user_id: PlainId
    token: HeaderValue = Field(repr=False)


class UserPool(OrderPart):
    """Who sends the requests; every user has an address of its own, counted up from `first_address`, known users first."""

    known: list[KnownUser] = []
    anonymous: int = Field(ge=0)
    first_address: IPv4Address

    @model_validator(mode="after")
    def _addresses_suffice(self) -> Self:
        if int(self.first_address) + len(self.known) + self.anonymous > 2**32:
            raise ValueError("there are more users than addresses above first_address")
        return self


class Contents(OrderPart):
    """The content ids that requests may name."""

    id_format: str = Field(pattern=r"^[\w.:@{}-]+$", description="e.g. content-{number:05d}, numbers from 1")
    count: int = Field(ge=1)


class WorkerOrder(OrderPart):
    """Everything that a load worker needs."""

    base_url: str
    marks: Marks
    routes: dict[PlainId, Route]
    plan: LoadPlan
    users: UserPool
    contents: Contents
    seed: int
    connections: int = Field(ge=1, description="cap of open connections; the worker lowers it to its file descriptors")
    retire_after_s: float = Field(default=60, gt=0, description="a connection is given up after about so long, a quarter more or less")
    worker: int = Field(
        default=0, ge=0, description="of plan.workers this is the one that sends the arrivals k with k mod workers = worker"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.worker >= self.plan.workers:
            raise ValueError(f"worker {self.worker} is none of the {self.plan.workers} that the plan has, which count from 0")
        url = urlsplit(self.base_url)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError("base_url must be http://host[:port] or https://host[:port]")
        if set(self.routes) != set(self.plan.routes):
            raise ValueError("routes and plan.routes must name the same routes")
        for name, route in self.routes.items():
            if route.authenticated_ratio > 0 and not self.users.known:
                raise ValueError(f"route {name} needs a token, but no user is logged in")
            if route.authenticated_ratio < 1 and not self.users.anonymous:
                raise ValueError(f"route {name} has anonymous calls, but there is no anonymous user")
        return self
