"""Makes the one image that the suite needs on a real cluster, `python:local`: an interpreter, its library, a shell.

python python_image.py load           build it if need be; the test cluster has it, also when it starts next
python python_image.py archive FILE   write it as a docker-archive, for `kind load image-archive` or a registry
"""

import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "cluster"))

from testbed import cluster
from testbed.images import Image, build_images
from testbed.layout import Folders, folders
from testbed.ownership import only_one
from testbed.rootfs import python
from testbed.shell import TestbedError

NAME = "python"


def build(place: Folders) -> Path:
    """The archive, made from the interpreter that runs this; one that is there is taken as it is."""
    name = f"{NAME}-{'.'.join(map(str, sys.version_info[:3]))}"
    kept = place.images / f"{name}.tar"
    if not kept.exists():
        # An environment without any package: what the pods run is the standard library's.
        empty = place.cache / f"{name}-environment"
        shutil.rmtree(empty, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(empty)], check=True)
        [made] = build_images(place, [Image(NAME, lambda root: python(root, empty), {"Cmd": ["python3"]})])
        shutil.rmtree(empty)
        made.rename(kept)
    return kept


def main() -> None:
    match sys.argv[1:]:
        case ["load"]:
            out = None
        case ["archive", file]:
            out = file
        case _:
            sys.exit(__doc__)
    place = folders()
    try:
        with only_one(place):
            archive = build(place)
            if out is None:
                cluster.load(place, [archive])
            else:
                shutil.copy(archive, out)
    except TestbedError as error:
        sys.exit(f"python_image: {error}")


main()
