"""Programs of the tests' own in Go, for what only a Go library can show: built where they are used, with the
versions that their go.mod names. Without Go the test is skipped, and fails with `CI=true`."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

BUILD_S = 500.0


def build_program(source: Path, folder: Path) -> Path:
    """The program of a folder of source, built into another."""
    go = shutil.which("go")
    if go is None:
        missing = f"no Go to build {source.name} with"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    built = folder / source.name
    command = [go, "build", "-mod=readonly", "-o", str(built), "."]
    subprocess.run(command, cwd=source, check=True, timeout=BUILD_S)
    return built
