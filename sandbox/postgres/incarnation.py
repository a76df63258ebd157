"""Which primary some data comes from: one that begins anew from the seed has another history than the one before it.

The name is a file among the data, so a base backup takes it along, and a setting, so the primary tells it.
"""

import uuid
from pathlib import Path

_FILE = "incarnation"
_SETTING = "media.incarnation"
QUERY = f"select current_setting('{_SETTING}')"


def begin(data: Path) -> None:
    """Name data that no server has used yet."""
    (data / _FILE).write_text(uuid.uuid4().hex)


def of(data: Path) -> str:
    """The name in it. Raises OSError."""
    return (data / _FILE).read_text()


def setting(data: Path) -> dict[str, str]:
    """What makes a server on this data tell its name."""
    return {_SETTING: of(data)}
