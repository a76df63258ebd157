"""Where a service listens and where its dependencies are: its environment, read once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self


@dataclass(frozen=True, slots=True)
class Address:
    """The environment of a pod; a name that a service does not need may be absent, reading it then fails loudly."""

    pod_ip: str
    port: str
    pod_name: str
    listen_host: str = ""
    redis_url: str = ""
    qdrant_url: str = ""
    pubnub_origin: str = ""
    pubnub_publish_key: str = ""
    pubnub_subscribe_key: str = ""
    postgres_primary_dsn: str = ""
    postgres_replica_dsns: str = ""
    discovery_url: str = ""
    sona_url: str = ""
    sync_url: str = ""
    auth_url: str = ""
    jwt_secret: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Reads the variables; raises KeyError for a missing POD_IP, PORT or POD_NAME."""
        names = [field.name for field in fields(cls)]
        given = {name: environment[name.upper()] for name in names if name.upper() in environment}
        for name in ("pod_ip", "port", "pod_name"):
            environment[name.upper()]
        return cls(**given)

    def need(self, name: str) -> str:
        """The value of a variable without which the service cannot work; raises KeyError when it is absent."""
        value: str = getattr(self, name)
        if not value:
            raise KeyError(f"the environment variable {name.upper()} is not set")
        return value

    @property
    def host(self) -> str:
        """Where to listen: LISTEN_HOST, else the pod's own address."""
        return self.listen_host or self.pod_ip

    @property
    def replica_dsns(self) -> list[str]:
        """One address per read replica."""
        return [dsn for dsn in self.postgres_replica_dsns.split(",") if dsn]
