"""A run's folder: fresh, private, and gone for good when it is removed."""

import stat
import subprocess
import sys
from pathlib import Path

from gateway.domain.definition import Service
from gateway.domain.environment import Environment
from gateway.staging.workspace import GONE, lay_out, remove

SERVICE = Service(
    name="shout",
    image="busybox",
    script="echo ñ\n",
    token="t0ken",
    environment=Environment(variables={"A": "1"}, secrets={"KEY": "s3cret"}),
)


def test_it_has_the_script_and_a_configuration_without_credentials(tmp_path: Path) -> None:
    workspace = lay_out(tmp_path / "run", SERVICE)
    assert workspace.script.read_text(encoding="utf-8") == "echo ñ\n"
    config = (workspace.root / "config" / "function_config.yaml").read_text()
    assert "name: shout" in config
    assert "t0ken" not in config
    assert "s3cret" not in config


def test_nobody_else_may_look_into_it(tmp_path: Path) -> None:
    assert stat.S_IMODE(lay_out(tmp_path / "run", SERVICE).root.stat().st_mode) == 0o700


def test_laying_it_out_again_leaves_nothing_of_before(tmp_path: Path) -> None:
    (lay_out(tmp_path / "run", SERVICE).output_dir / "old").touch()
    assert list(lay_out(tmp_path / "run", SERVICE).output_dir.iterdir()) == []


def test_removing_what_is_not_there_is_fine(tmp_path: Path) -> None:
    remove(tmp_path / "nothing")


def test_it_can_be_removed_whatever_a_script_left_there(tmp_path: Path) -> None:
    workspace = lay_out(tmp_path / "run", SERVICE)
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o755)
    script = (
        "mkdir -p locked/inner; touch locked/inner/file; chmod 000 locked/inner/file locked/inner locked;"
        f"ln -s {outside} link; mkfifo pipe"
    )
    deep = "import os\nfor _ in range(1100):\n os.mkdir('d')\n os.chdir('d')"
    subprocess.run(["/bin/sh", "-c", script], cwd=workspace.output_dir, check=True)
    subprocess.run([sys.executable, "-c", deep], cwd=workspace.output_dir, check=True)
    remove(workspace.root)
    assert not workspace.root.exists()
    assert stat.S_IMODE(outside.stat().st_mode) == 0o755


def test_a_removal_cut_short_leaves_nothing_that_looks_like_a_workspace(tmp_path: Path) -> None:
    half = tmp_path / f"run{GONE}"
    lay_out(tmp_path / "run", SERVICE).root.rename(half)
    again = lay_out(tmp_path / "run", SERVICE)
    assert not half.exists()
    again.root.rename(half)
    remove(half)
    assert list(tmp_path.iterdir()) == []
