"""The addresses of one sandbox: a /16 of 127/8 and port numbers that collide with nothing on this machine."""

import os
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from random import Random
from typing import Protocol

from sandbox.kube.addresses import stateful_address

NAMESPACE = "media-gateway"
SERVICES = ("api-gateway", "discovery-service", "sona-service", "sync-service", "auth-service")
REPLICAS = ("postgresql-replica-0", "postgresql-replica-1", "postgresql-replica-2")
STORES = ("redis", "qdrant", "pubnub", "postgresql", "postgresql-replica", "toxiproxy")
# Toxiproxy's name of each link, and the store at its far end.
LINKS = {
    "redis": "redis",
    "qdrant": "qdrant",
    "pubnub": "pubnub",
    "postgres-primary": "postgresql",
    "postgres-replica-0": "postgresql-replica-0",
    "postgres-replica-1": "postgresql-replica-1",
    "postgres-replica-2": "postgresql-replica-2",
}
# Below Linux's range of ephemeral ports (32768 and up), so that no outgoing connection takes one of them meanwhile.
_LOWEST, _HIGHEST = 20_000, 32_000


@dataclass(frozen=True, slots=True)
class Address:
    """Where something listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Places(Protocol):
    """Where everything of one platform listens."""

    @property
    def ports(self) -> Mapping[str, int]:
        """One number per component."""

    def service(self, name: str) -> Address:
        """A Service: one per component, and one per PostgreSQL replica."""

    def store(self, name: str) -> Address:
        """Where Toxiproxy reaches a store."""

    def link(self, name: str) -> Address:
        """Where the services reach the link `name`."""

    def listener(self, name: str) -> Address:
        """Where Toxiproxy listens for it."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where everything in one sandbox listens; `prefix` is its /16, such as '127.83', `ports` one number per component."""

    prefix: str
    ports: dict[str, int]

    @classmethod
    def chosen(cls) -> "Addresses":
        """A random subnet and free ports."""
        components = (*SERVICES, *STORES)
        prefix = f"127.{Random(os.urandom(16)).randrange(16, 250)}"
        return cls(prefix, dict(zip(components, _free_ports(len(components)), strict=True)))

    def service(self, name: str) -> Address:
        """The ClusterIP and port of a Service: one per component, and one per PostgreSQL replica."""
        number = (*SERVICES, *STORES, *REPLICAS).index(name) + 1
        component = "postgresql-replica" if name in REPLICAS else name
        return Address(f"{self.prefix}.1.{number}", self.ports[component])

    def store(self, name: str) -> Address:
        """The one pod behind a store's Service. It keeps its address, so a link need not pass the Service's relay."""
        service = self.service(name)
        return Address(stateful_address(self.prefix, name if name in REPLICAS else f"{name}-0"), service.port)

    def link(self, name: str) -> Address:
        """Where Toxiproxy listens for the link `name`."""
        number = tuple(LINKS).index(name) + 1
        return Address(f"{self.prefix}.2.{number}", self.service(LINKS[name]).port)

    def listener(self, name: str) -> Address:
        """The same: each link has an address of its own."""
        return self.link(name)


def free_port(host: str = "127.0.0.1") -> int:
    """A port of `host` that is free now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _free_ports(count: int) -> list[int]:
    """`count` different ports that are free on every address of this machine."""
    rng = Random(os.urandom(16))
    found: list[int] = []
    with ExitStack() as held:
        for port in rng.sample(range(_LOWEST, _HIGHEST), k=_HIGHEST - _LOWEST):
            if len(found) == count:
                return found
            probe = held.enter_context(socket.socket())
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
            found.append(port)
    raise OSError(f"fewer than {count} free ports between {_LOWEST} and {_HIGHEST}")
