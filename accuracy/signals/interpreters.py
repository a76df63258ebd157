"""The Pythons that are installed, each with the product in a virtual environment of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MINORS = (11, 12, 13)


def interpreters(say: Callable[[str], None]) -> list[str]:
    """This interpreter, and one of each other version that is on the PATH. What is not installed is said."""
    found = [sys.executable]
    for minor in MINORS:
        if minor == sys.version_info.minor:
            continue
        python = shutil.which(f"python3.{minor}")
        works = python and subprocess.run([python, "-c", "import venv, ensurepip"], capture_output=True, check=False).returncode == 0
        if works and python:
            found.append(_installed(python, ROOT / f".venv-3.{minor}", say))
        else:
            say(f"Python 3.{minor} is not installed here: not tried")
    return found


def _installed(python: str, folder: Path, say: Callable[[str], None]) -> str:
    own = folder / "bin" / "python"
    done = folder / "done"
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    if not done.is_file() or done.read_text(encoding="utf-8") != lock:
        say(f"installing into {folder.name} (once, about a minute)")
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
        pip = [str(own), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--require-hashes", "-r", str(ROOT / "requirements.lock")], check=True)
        subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)], check=True)
        done.write_text(lock, encoding="utf-8")
    return str(own)
