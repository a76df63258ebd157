"""Puts another release of the official client beside the locked one: `other_client.py 35` prints the folder to put on PYTHONPATH.

Only this package is exchanged, with what it alone needs, by the hashes in client-RELEASE.lock; everything else stays as the lock has it.
The release of the lock itself needs no folder, and nothing is printed.
"""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def folder_for(release: str) -> Path | None:
    """The folder, filled; None when the environment has this release. Exits where there is no lock for it."""
    if version("kubernetes").split(".")[0] == release:
        return None
    lock = HERE / f"client-{release}.lock"
    if not lock.exists():
        known = sorted(path.stem.removeprefix("client-") for path in HERE.glob("client-*.lock"))
        sys.exit(f"no lock for client {release}: there are {', '.join(known)} and {version('kubernetes')} of the environment")
    folder = ROOT / f".venv-client-{release}"
    done = folder / "done.lock"
    if not done.exists() or done.read_text(encoding="utf-8") != lock.read_text(encoding="utf-8"):
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"]
        subprocess.run([*pip, "--no-deps", "--require-hashes", "--target", str(folder), "-r", str(lock)], check=True)
        done.write_text(lock.read_text(encoding="utf-8"), encoding="utf-8")
    return folder


def main() -> None:
    folder = folder_for(sys.argv[1])
    if folder is not None:
        print(folder)


if __name__ == "__main__":
    main()
