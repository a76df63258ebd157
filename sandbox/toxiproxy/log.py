"""Log lines: one JSON object per line on standard output."""

import sys
from datetime import UTC, datetime

import orjson


def log(level: str, message: str, **fields: object) -> None:
    """Write one line {"ts", "level", "service", "message", ...fields}; the level is INFO, WARN or ERROR."""
    stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = {"ts": stamp, "level": level, "service": "toxiproxy", "message": message, **fields}
    sys.stdout.write(orjson.dumps(line, default=str).decode() + "\n")
    sys.stdout.flush()
