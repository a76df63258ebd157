"""The settings table of the platform's services: every threshold, time-out, TTL and switch, each with its source.

"8.3", "7.1" ... are sections of the performance specification; "platform" is the Media Gateway's own design and
configuration; "ours" is a choice of the sandbox, with its argument. A flaw is a set of other values for these fields.
"""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

PREFIX = "MG_"


def _row(default: float, source: str) -> float:
    value: float = Field(default=default, ge=0, description=source)
    return value


def _count(default: int, source: str) -> int:
    value: int = Field(default=default, ge=0, description=source)
    return value


def _switch(source: str, *, default: bool = True) -> bool:
    value: bool = Field(default=default, description=source)
    return value


class Settings(BaseModel):
    """Values of all services; seconds, milliseconds and counts as the names say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Replicas
    gateway_replicas: int = _count(2, "platform: HPA minimum")
    discovery_replicas: int = _count(2, "platform: HPA minimum")
    sona_replicas: int = _count(2, "platform: HPA minimum")
    sync_replicas: int = _count(2, "platform: HPA minimum")
    auth_replicas: int = _count(1, "ours: the platform runs 2; one shows what a single replica does")

    # Every service
    drain_s: float = _row(0.5, "ours: answers go on with Connection: close until the endpoint is gone everywhere")
    shutdown_s: float = _row(1.0, "ours: in-flight requests may take this long after the drain")
    server_keep_alive_s: float = _row(30.0, "ours: longer than every client's idle limit, so a server never closes first")

    # HTTP between services
    http_idle_s: float = _row(2.0, "ours: a pooled connection idle for longer is not used again")
    http_calls_per_connection: int = _count(
        25, "ours: every n-th call of a client retires its connection, so that load reaches new replicas"
    )
    http_connect_tries: int = _count(
        2, "ours: a connection that failed before a byte of the request was sent is tried once more; 8.3 forbids others"
    )

    # Gateway
    gateway_call_timeout_s: float = _row(10.0, "8.3: API gateway -> service, no retry")
    gateway_discovery_failures: int = _count(20, "platform: breaker gateway -> discovery")
    gateway_discovery_open_s: float = _row(3.0, "platform: breaker gateway -> discovery")
    gateway_sona_failures: int = _count(10, "platform: breaker gateway -> sona")
    gateway_sona_open_s: float = _row(2.0, "platform: breaker gateway -> sona")
    gateway_sync_failures: int = _count(15, "platform: breaker gateway -> sync")
    gateway_sync_open_s: float = _row(3.0, "platform: breaker gateway -> sync")
    gateway_auth_failures: int = _count(10, "platform: breaker gateway -> others")
    gateway_auth_open_s: float = _row(2.0, "platform: breaker gateway -> others")
    gateway_close_successes: int = _count(1, "platform: half-open, the first result decides")
    gateway_response_cache: bool = _switch("platform: response cache for anonymous GET")
    gateway_content_cache_s: float = _row(300.0, "7.1 layer 2: content details 5 minutes")
    gateway_other_cache_s: float = _row(60.0, "platform: response cache, other routes")
    gateway_redis_limit_s: float = _row(0.2, "ours: a request waits this long at most for limits and for the response cache")
    gateway_sessions_in_redis: bool = _switch("design 9: a token is verified without Redis", default=False)
    rate_limit_fails_open: bool = _switch("platform: Redis loss causes no errors, rate limiting fails open")
    rate_anonymous_per_s: int = _count(5, "platform: rate limits")
    rate_anonymous_per_min: int = _count(100, "platform: rate limits")
    rate_free_per_s: int = _count(10, "platform: rate limits")
    rate_free_per_min: int = _count(200, "platform: rate limits")
    rate_pro_per_s: int = _count(50, "platform: rate limits")
    rate_pro_per_min: int = _count(1000, "platform: rate limits")
    rate_enterprise_per_s: int = _count(200, "platform: rate limits")
    rate_enterprise_per_min: int = _count(5000, "platform: rate limits")

    # Redis
    redis_timeout_s: float = _row(1.0, "8.3: service -> Redis")
    redis_retries: int = _count(2, "8.3: 2 retries; ours: on a broken connection only, a time-out is not repeated")
    redis_backoff_s: float = _row(0.02, "ours: linear back-off (8.3 gives no step)")
    redis_write_limit_s: float = _row(0.1, "ours: keeping an answer in the cache must not hold it up for long")
    redis_breaker_failures: int = _count(3, "ours: an open breaker skips Redis; a silent one must not cost 1 s per request")
    redis_breaker_open_s: float = _row(1.0, "ours: at most one request a second pays the time-out of a silent Redis")
    breaker_copy_ttl_s: int = _count(3600, "platform: key circuit_breaker:<service>:state")
    redis_loss_check_s: float = _row(0.0, "ours: looks this often whether Redis lost everything; 0 is never: nobody needs to know")
    redis_loss_pings: int = _count(0, "ours: pings over a new connection after a loss; reconnecting needs none")
    redis_refills_after_loss: bool = _switch("platform: an empty cache fills by use")
    gateway_loss_pause_s: float = _row(0.0, "platform: Redis loss causes no errors; so long would nothing be answered after one")

    # PostgreSQL
    postgres_timeout_s: float = _row(5.0, "8.3: service -> database, the primary's")
    postgres_connections: int = _count(10, "platform: pool of 10")
    replica_timeout_s: float = _row(
        0.75, "ours: 8.3's 5 s is longer than the 2 s within which an answer counts, so a silent replica must cost less"
    )
    replica_pinned: bool = _switch("3.5: reads go to all replicas in turn; pinned ones all go to the last", default=False)
    replica_failover: bool = _switch("8.3: 3 retries; ours: at the next replica, then at the primary, without back-off")
    database_recheck_s: float = _row(0.5, "ours: a server put aside is looked at this often")

    # Discovery
    discovery_startup_s: float = _row(3.0, "ours: a discovery pod takes at least this long until it is ready")
    search_cache_s: int = _count(1800, "platform: search:<sha256> 30 min")
    search_unranked_cache_s: int = _count(30, "7.1 layer 2: search 30 s; ours: an answer without personal order is kept no longer")
    search_last_s: int = _count(86_400, "ours: a last-known answer older than a day is not given")
    search_snapshot_age_s: int = _count(0, "ours: how old candidates are when they come; Qdrant's are of now")
    search_cache_by_number: bool = _switch("platform: key search:<sha256>; not a number that Redis counts", default=False)
    search_candidates: int = _count(100, "4.1: vector search, top 100")
    search_page_size: int = _count(20, "platform: page of 20")
    content_cache_s: int = _count(300, "7.1 layer 3: content metadata 5 minutes")
    qdrant_timeout_s: float = _row(3.0, "8.3: service -> Qdrant")
    qdrant_limit_s: float = _row(1.0, "ours: all tries together, so that a fallback still counts (2 s); 2.2 allows a vector search 100 ms")
    qdrant_retries: int = _count(2, "8.3: 2 retries, exponential; on a broken connection")
    qdrant_backoff_s: float = _row(0.1, "platform: 100, 200 ms")
    qdrant_breaker_failures: int = _count(5, "platform: design documents, 5 failures")
    qdrant_breaker_open_s: float = _row(10.0, "ours: 30 s in the design documents would leave search degraded for long after a heal")
    qdrant_breaker_successes: int = _count(1, "ours: the first answer decides")
    qdrant_breaker_probes: int = _count(3, "platform: design documents, 3 probes")
    qdrant_breaker_slow_s: float = _row(10.0, "ours: an answer after longer counts as a failure; longer than any time-out, so none does")
    qdrant_breaker_trips_every_s: float = _row(0.0, "ours: 0 is never: a breaker opens on failures only")
    qdrant_relapse_every: int = _count(0, "ours: 0 is never: a loss of Qdrant that is over leaves nothing behind")
    qdrant_relapse_after_s: float = _row(12.0, "ours: longer than the 10 s of a settled stretch (design 6)")
    discovery_stale_fallback: bool = _switch("3.5: graceful degradation to cached data")
    discovery_keyword_fallback: bool = _switch("platform: Qdrant loss falls back to SQL text search")
    discovery_marks_degraded: bool = _switch("platform: degraded answers carry a visible mark")
    sona_rerank_timeout_s: float = _row(0.05, "platform: discovery -> SONA 50 ms")

    # SONA
    sona_candidates: int = _count(500, "4.2: top 500 popular items")
    sona_reload_s: float = _row(60.0, "ours: the popular items are read again this often")
    lora_ttl_s: int = _count(3600, "7.1 layer 3: user LoRA adapters 1 hour")
    sona_redis_limit_s: float = _row(0.1, "ours: three times 2.3's maximum of 30 ms for a LoRA load; then the global adapter")

    # Sync
    pubnub_publish_timeout_s: float = _row(
        1.0, "ours: 8.3's 10 s for external APIs would take 30 s to open the breaker; 8.2 allows a delivery 100 ms"
    )
    pubnub_tries: int = _count(3, "platform: publish 3 tries")
    pubnub_backoff_s: float = _row(0.1, "platform: 100, 200 ms")
    pubnub_breaker_failures: int = _count(3, "platform: breaker sync -> PubNub, counts tries")
    pubnub_breaker_open_s: float = _row(10.0, "platform: breaker sync -> PubNub")
    pubnub_breaker_successes: int = _count(2, "platform: breaker sync -> PubNub")
    pubnub_breaker_probes: int = _count(2, "platform: breaker sync -> PubNub")
    sync_replay_s: float = _row(0.5, "platform: after reconnection 100 queued operations in < 5 s; ours: looks this often")
    sync_keeps_unpublished: bool = _switch("platform: operations queue while offline")
    sync_replays_in_order: bool = _switch("platform: operations are sent on reconnection, per device in their order")
    sync_replay_copies: int = _count(1, "ours: how often a message that had to wait is published")
    sync_publishers: int = _count(4, "ours: users whose messages a replica publishes at the same time")
    sync_operation_memory_s: float = _row(86_400.0, "ours: an operation_id is known as used for a day")

    # Auth
    access_token_s: int = _count(7200, "ours: 2 h, so that a run of one hour needs no refresh")
    session_s: int = _count(604_800, "7.1 layer 3: sessions 7 days")
    session_fallback: bool = _switch("platform: Redis loss causes no errors; sessions are read again from PostgreSQL")
    login_per_min: int = _count(10, "platform: auth limits")
    token_per_min: int = _count(10, "platform: auth limits")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Reads MG_<FIELD>; raises pydantic.ValidationError for an unknown field or a bad value."""
        values = {key[len(PREFIX) :].lower(): value for key, value in environment.items() if key.startswith(PREFIX)}
        return cls.model_validate(values)

    def environment(self) -> dict[str, str]:
        """The values that differ from the defaults, as environment variables."""
        defaults = Settings()
        changed = {name: value for name, value in self if value != getattr(defaults, name)}
        return {PREFIX + name.upper(): str(value).lower() for name, value in changed.items()}
