"""The settings of the sandbox's PostgreSQL servers, as command-line arguments."""

# Small, quick to start and stop, and not durable: a sandbox's data is worth nothing after a power cut.
COMMON: dict[str, str] = {
    "autovacuum_max_workers": "1",
    "dynamic_shared_memory_type": "mmap",  # in the data directory, so that a killed server leaves nothing in /dev/shm
    "fsync": "off",
    "full_page_writes": "off",
    "huge_pages": "off",
    "io_method": "sync",  # no I/O worker processes
    "jit": "off",
    "max_connections": "100",
    "max_logical_replication_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "shared_buffers": "32MB",
    "unix_socket_directories": "",
    # A replica that hangs leaves pg_stat_replication after 5 s; one that comes back streams again within 0.2 s.
    "wal_receiver_status_interval": "1s",
    "wal_receiver_timeout": "5s",
    "wal_retrieve_retry_interval": "200ms",
    "wal_sender_timeout": "5s",
    # What a dead replica's slot may hold back on disk.
    "max_slot_wal_keep_size": "256MB",
    "wal_keep_size": "32MB",
}

REPLICA: dict[str, str] = {
    "hot_standby_feedback": "on",  # a vacuum on the primary must not cancel a replica's query
}


def arguments(settings: dict[str, str]) -> list[str]:
    """`-c name=value` for each of `settings`."""
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
