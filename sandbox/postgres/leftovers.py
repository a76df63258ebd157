"""What a killed PostgreSQL server leaves: processes that still end, a lock file, a shared memory segment."""

import ctypes
import os
import sys
import time
from pathlib import Path

_PATIENCE_S = 5.0
_RETRY_S = 0.02
_IPC_RMID = 0
_SEGMENT_LINE = 6  # of postmaster.pid: "<key> <segment id>"
_SEGMENTS = Path("/proc/sysvipc/shm")
_SEGMENT_BYTES = 56  # PostgreSQL's header; what it really shares is mapped memory
_libc = ctypes.CDLL(None, use_errno=True)


def clear(data: Path) -> None:
    """Make `data` ready for a new server; waits up to 5 s for its predecessor's processes to end."""
    deadline = time.monotonic() + _PATIENCE_S
    while _at_work(data):
        if time.monotonic() > deadline:
            sys.exit(f"another server is still at work in {data}")
        time.sleep(_RETRY_S)
    release_segment(data)
    # The pid in it may belong to somebody else by now, and the server would then refuse to start.
    (data / "postmaster.pid").unlink(missing_ok=True)


def release_segment(data: Path) -> None:
    """Give back the System V segment (56 bytes) of a server that was killed in `data`: the kernel keeps it for ever."""
    try:
        words = (data / "postmaster.pid").read_text().splitlines()[_SEGMENT_LINE].split()
        segment = int(words[1])
    except (FileNotFoundError, IndexError, ValueError):  # stopped in order, or killed before it had one
        return
    _libc.shmctl(segment, _IPC_RMID, None)


def sweep(uid: int) -> None:
    """Give back the segments of servers of `uid` that were killed and whose data is gone."""
    lines = [line.split() for line in _SEGMENTS.read_text().splitlines()]
    names = lines[0]
    for segment in (dict(zip(names, line, strict=False)) for line in lines[1:]):
        ours = int(segment["uid"]) == uid and int(segment["size"]) == _SEGMENT_BYTES
        if ours and segment["nattch"] == "0" and not Path("/proc", segment["cpid"]).exists():
            _libc.shmctl(int(segment["shmid"]), _IPC_RMID, None)


def _at_work(data: Path) -> bool:
    """Whether some process has `data` as its working directory, as every PostgreSQL process does."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "cwd") == str(data):
                return True
        except OSError:  # another user's, or gone
            continue
    return False
