"""What is in an image: files of this machine, with every shared object that they need."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from testbed.shell import output

LIBRARIES = "usr/lib/x86_64-linux-gnu"
FOLDERS = ("bin", "etc", "tmp", "root", "proc", "sys", "dev", "var", "usr/bin", "opt", "lib64", LIBRARIES)
UID = 10001
USERS = f"root:x:0:0:root:/root:/bin/sh\nchaos:x:{UID}:{UID}:chaos:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"
"""PostgreSQL and Python ask who they are: a uid without an entry has no answer."""
GROUPS = f"root:x:0:\nchaos:x:{UID}:\nnogroup:x:65534:\n"
LEFT_OUT = ("__pycache__", "test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3")
LEFT_OUT_OF_STDLIB = (*LEFT_OUT, "site-packages", "dist-packages", "config-3*", "*.a", "_tkinter*")
ASK_PYTHON = (
    "import json,sys,sysconfig as s; print(json.dumps([sys.base_prefix, s.get_path('stdlib'),"
    "'python%d.%d' % sys.version_info[:2], s.get_config_var('LIBDIR')]))"
)


def busybox(root: Path) -> None:
    """A shell and its tools: the beginning of every image."""
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    for applet in output(["/bin/busybox", "--list"]).split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    (root / "etc/passwd").write_text(USERS, encoding="utf-8")
    (root / "etc/group").write_text(GROUPS, encoding="utf-8")
    (root / "etc/nsswitch.conf").write_text("hosts: files dns\n", encoding="utf-8")


def redis(root: Path) -> None:
    """Server and client from the machine's package."""
    binaries = [root / "usr/bin" / name for name in ("redis-server", "redis-cli")]
    for binary in binaries:
        # Follows the package's link; the server looks at the name by which it was called.
        shutil.copy(f"/usr/bin/{binary.name}", binary)
    libraries(root, binaries)


def binary(path: Path, root: Path) -> None:
    """One static binary."""
    shutil.copy(path, root / "usr/bin" / path.name)


def python(root: Path, environment: Path) -> None:
    """Interpreter and standard library below /usr/local, the packages of this virtual environment at /opt/venv."""
    interpreter = environment / "bin/python"
    prefix, stdlib, name, libdir = json.loads(output([interpreter, "-c", ASK_PYTHON]))
    shutil.copytree(stdlib, root / "usr/local/lib" / name, ignore=shutil.ignore_patterns(*LEFT_OUT_OF_STDLIB))
    (root / "usr/local/bin").mkdir(parents=True)
    shutil.copy(Path(prefix, "bin", name).resolve(), root / "usr/local/bin" / name)
    _environment(root, environment, name)
    libraries(root, [root / "usr/local/bin" / name, *root.rglob("*.so"), *root.rglob("*.so.*")], libdir)
    # Compiled ahead, a container starts three times faster.
    compiling = [interpreter, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash", "-s", root]
    subprocess.run([str(word) for word in (*compiling, root / "usr/local/lib", root / "opt/venv/lib")], check=False)


def _environment(root: Path, built: Path, name: str) -> None:
    site = f"lib/{name}/site-packages"
    ours = root / "opt/venv"
    shutil.copytree(built / site, ours / site, ignore=shutil.ignore_patterns("__pycache__", "pip", "setuptools"))
    (ours / "bin").mkdir()
    for script in (built / "bin").iterdir():
        if script.is_file() and not script.is_symlink() and script.read_bytes()[:2] == b"#!":
            copy = ours / "bin" / script.name
            copy.write_text(re.sub(r"\A#!.*", "#!/opt/venv/bin/python", script.read_text(encoding="utf-8")), encoding="utf-8")
            copy.chmod(0o755)
    for link in ("python", "python3"):
        (ours / "bin" / link).symlink_to(f"/usr/local/bin/{name}")
    (ours / "pyvenv.cfg").write_text("home = /usr/local/bin\ninclude-system-site-packages = false\n", encoding="utf-8")


def libraries(root: Path, binaries: Iterable[Path], *beside: str) -> None:
    """Every shared object that the dynamic linker names, into the image's library folder."""
    env = {**os.environ, "LD_LIBRARY_PATH": ":".join(beside)}
    for one in binaries:
        listing = subprocess.run(["ldd", one], env=env, capture_output=True, text=True, check=False).stdout
        for path in re.findall(r"(/\S+) \(0x", listing):
            target = root / ("lib64" if "/ld-linux" in path else LIBRARIES) / Path(path).name
            if not path.startswith(str(root)) and not target.exists():
                shutil.copy(path, target)
    for name in ("libnss_dns.so.2", "libnss_files.so.2"):
        shutil.copy(f"/{LIBRARIES}/{name}", root / LIBRARIES / name)
    if not (root / "lib").exists():
        (root / "lib").mkdir()
        (root / "lib/x86_64-linux-gnu").symlink_to(f"/{LIBRARIES}")
