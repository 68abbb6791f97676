"""Take the example's photograph out of a pinned, hashed wheel: `take_photo.py <lock file> <target>`.

Nothing of the wheel is installed or run; the repository itself holds no work of others.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from zipfile import ZipFile

MEMBER = "matplotlib/mpl-data/sample_data/grace_hopper.jpg"
QUIETLY = ("--quiet", "--disable-pip-version-check", "--no-input")
# One wheel, whatever this machine is: only a picture is read from it.
THAT_WHEEL = ("--platform=manylinux2014_x86_64", "--implementation=cp", "--python-version=3.11")
DOWNLOAD = ("download", *QUIETLY, "--require-hashes", "--no-deps", "--only-binary=:all:", *THAT_WHEEL)


def main(lock: str, target: Path) -> None:
    print(f"set-up: taking a photograph from {lock}")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "pip", *DOWNLOAD, "--dest", folder, "-r", lock], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        # Written under another name first: make takes a cut file for a finished one.
        unfinished = target.with_suffix(".part")
        unfinished.write_bytes(ZipFile(wheel).read(MEMBER))
        unfinished.replace(target)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
