"""The addresses of the platform in a real cluster: names and numbers that are known before anything runs."""

from dataclasses import dataclass, field

from sandbox.ports import REPLICAS, Address

# Source: the platform's own services, 8080 to 8084; the stores' usual ports.
PORTS = {
    "api-gateway": 8080,
    "discovery-service": 8081,
    "sona-service": 8082,
    "sync-service": 8083,
    "auth-service": 8084,
    "redis": 6379,
    "qdrant": 6333,
    "pubnub": 8090,
    "postgresql": 5432,
    "postgresql-replica": 5432,
    "toxiproxy": 8474,
}
LINK_PORTS = {
    "redis": 16379,
    "qdrant": 16333,
    "pubnub": 18090,
    "postgres-primary": 15432,
    "postgres-replica-0": 15433,
    "postgres-replica-1": 15434,
    "postgres-replica-2": 15435,
}
"""All links listen in the one pod of Toxiproxy, so each has a number of its own."""


@dataclass(frozen=True, slots=True)
class ClusterAddresses:
    """Names of Services; `suffix` is empty inside the platform's namespace, '.media-gateway.svc' elsewhere in the cluster."""

    suffix: str = ""
    ports: dict[str, int] = field(default_factory=lambda: dict(PORTS))

    def service(self, name: str) -> Address:
        """The name and port of a Service."""
        return Address(f"{name}{self.suffix}", self.ports["postgresql-replica" if name in REPLICAS else name])

    def store(self, name: str) -> Address:
        """Its Service: pods change their addresses here."""
        return self.service(name)

    def link(self, name: str) -> Address:
        """A port of Toxiproxy's Service."""
        return Address(f"toxiproxy{self.suffix}", LINK_PORTS[name])

    def listener(self, name: str) -> Address:
        """The same port of its pod."""
        return Address("0.0.0.0", LINK_PORTS[name])
