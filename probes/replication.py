"""The replication probe: the standbys as the primary sees them, twice a second."""

from __future__ import annotations

from probes.clients.postgres import PostgresReader
from probes.clock import Clock
from probes.single import SingleProbe
from steady_state.observations import ReplicaState, ReplicationLine


class ReplicationProbe(SingleProbe):
    """Records state and lag of each standby; one that is away is missing from the line."""

    name = "replication"
    subject = "primary"
    period_s = 0.5

    def __init__(self, *, clock: Clock, primary: PostgresReader) -> None:
        super().__init__(clock)
        self._primary = primary

    async def look(self) -> ReplicationLine:
        """The standbys now. Raises Unreachable."""
        standbys = await self._primary.standbys()
        replicas = [ReplicaState(name=one.name, state=one.state, lag_bytes=one.lag_bytes) for one in standbys]
        return ReplicationLine(t=self._clock.now(), replicas=replicas)
