"""How long ago an instant was, as kubectl shows it."""

from datetime import UTC, datetime

from sandbox.kube.objects import parse_time


def age(text: str | None) -> str:
    """The age of an RFC 3339 time: 5s, 3m10s, 45m, 2h5m, 4d."""
    if not text:
        return "<unknown>"
    seconds = max(0, int((datetime.now(UTC) - parse_time(text)).total_seconds()))
    if seconds < 120:
        return f"{seconds}s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 10:
        return _two(minutes, "m", seconds % 60, "s")
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    return f"{hours}h" if hours < 48 else f"{days}d"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}" + (f"{small}{small_unit}" if small else "")
