"""Set-up: a virtual environment in .venv with pinned and hashed packages. Standard library only; runs on any Python 3.

python3 tools/set_up.py run      what `make run` needs
python3 tools/set_up.py test     that, and what the tests need
"""

import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(HERE, ".venv")
LOCKS = {"run": "requirements.lock", "test": "requirements-dev.lock"}
OLDEST, TOO_NEW = (3, 11), (3, 14)


def main():
    wanted = sys.argv[1] if len(sys.argv) == 2 else ""
    if wanted not in LOCKS:
        stop("say `run` or `test`")
    if is_done(wanted):
        return
    create_venv(find_python())
    print("set-up: installing %s (once, about a minute)" % LOCKS[wanted], flush=True)
    pip("--require-hashes", "-r", os.path.join(HERE, LOCKS[wanted]))
    pip("--no-deps", "--no-build-isolation", "--editable", HERE)
    with open(stamp(wanted), "w") as file:
        file.write(fingerprint(wanted))


def find_python():
    """The interpreter that runs this, or a fitting one beside it."""
    names = [sys.executable] + [shutil.which("python3.%d" % minor) for minor in (13, 12, 11)]
    for name in filter(None, names):
        told = subprocess.run([name, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True)
        version = tuple(map(int, told.stdout.split())) if told.returncode == 0 else ()
        if OLDEST <= version < TOO_NEW:
            return name
    stop(
        "Python 3.11, 3.12 or 3.13 is needed, this is %d.%d (Chaos Toolkit does not support 3.14 yet): install one and try again"
        % sys.version_info[:2]
    )


def create_venv(python):
    told = subprocess.run([python, "-c", "import venv, ensurepip"], capture_output=True, text=True)
    if told.returncode != 0:
        stop("the venv module of %s is missing: install it (on Debian and Ubuntu: apt-get install python3-venv)" % python)
    if not os.path.exists(os.path.join(VENV, "bin", "python")):
        run([python, "-m", "venv", VENV], "a virtual environment could not be made in %s: is the folder writable?" % VENV)


def pip(*arguments):
    command = [os.path.join(VENV, "bin", "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run(command + list(arguments), "pip could not install the packages: its message above says why")


def run(command, failure):
    if subprocess.run(command).returncode != 0:
        stop(failure)


def stamp(wanted):
    return os.path.join(VENV, "set-up-%s.done" % wanted)


def fingerprint(wanted):
    """Changes when a lock or the project's metadata does."""
    content = [HERE]
    for name in (LOCKS[wanted], "pyproject.toml"):
        with open(os.path.join(HERE, name)) as file:
            content.append(file.read())
    return "\n".join(content)


def is_done(wanted):
    covering = ["run", "test"] if wanted == "run" else ["test"]
    for name in covering:
        if os.path.exists(stamp(name)):
            with open(stamp(name)) as file:
                if file.read() == fingerprint(name):
                    return True
    return False


def stop(sentence):
    print("set-up: " + sentence, file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
