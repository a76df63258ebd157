"""JSON lines on standard output."""

import logging
import sys
from datetime import UTC, datetime

import orjson

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}


class JsonLines(logging.Formatter):
    """One record as one JSON object: ts, level, service, message, and whatever `extra` held."""

    def __init__(self, service: str, pod: str) -> None:
        super().__init__()
        self._fixed = {"service": service, "pod": pod}

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": "WARN" if record.levelno == logging.WARNING else record.levelname,
            **self._fixed,
            "message": record.getMessage(),
            **{key: value for key, value in vars(record).items() if key not in _OWN},
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def configure(service: str, pod: str) -> logging.Logger:
    """Sends every record of the process to standard output; returns the service's logger."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines(service, pod))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    return logging.getLogger(service)
