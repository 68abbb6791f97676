"""The workspace: one run's folder, for its owner's eyes only. It knows paths, not what runs there."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from gateway.staging import layout

if TYPE_CHECKING:
    # Beside a script in a pod nothing else needs it, and it takes 0.2 s to import.
    from gateway.domain.definition import Service

CONFIG_FIELDS = {"name", "image", "cpu", "memory", "input", "output", "log_level"}
"""What scripts may read about their service: neither its token nor any credential."""

FORCE_LIMIT_S = 300

GONE = ".gone"
"""Ends the name of a folder that is being removed."""


@dataclass(frozen=True, slots=True)
class Workspace:
    root: Path

    @property
    def script(self) -> Path:
        return self.root / layout.SCRIPT

    @property
    def input_dir(self) -> Path:
        return self.root / layout.INPUT

    @property
    def output_dir(self) -> Path:
        return self.root / layout.OUTPUT

    @property
    def scratch_dir(self) -> Path:
        return self.root / layout.SCRATCH

    @property
    def body(self) -> Path:
        return self.root / layout.BODY

    @property
    def stdout(self) -> Path:
        return self.root / layout.STDOUT

    @property
    def stdout_cut(self) -> bool:
        return (self.root / layout.STDOUT_CUT).exists()

    @property
    def log(self) -> Path:
        return self.root / layout.LOG


def lay_out(root: Path, service: "Service") -> Workspace:
    """A fresh workspace with the service's script and configuration; whatever was there is gone. Raises
    OSError."""
    remove(root)
    workspace = Workspace(root)
    root.mkdir(mode=0o700, parents=True)
    for folder in (workspace.input_dir, workspace.output_dir, workspace.scratch_dir, workspace.script.parent):
        folder.mkdir()
    workspace.script.write_text(service.script, encoding="utf-8", errors="surrogatepass")
    (root / layout.CONFIG).write_text(config_text(service), encoding="utf-8")
    return workspace


def config_text(service: "Service") -> str:
    """What a script may read about its service, as YAML."""
    return yaml.safe_dump(service.model_dump(mode="json", include=CONFIG_FIELDS), sort_keys=False)


def remove(root: Path) -> None:
    """The folder with all that is in it, whatever a script left there. Fine if there is none. Blocking.
    Raises OSError.

    It goes by one rename, so that a kill half-way leaves no part of a workspace that looks like one: what is
    left is named with `GONE`, and goes when it is removed again.
    """
    gone = root.with_name(root.name.removesuffix(GONE) + GONE)
    _delete(gone)
    if root != gone and root.exists():
        root.rename(gone)
        _delete(gone)


def _delete(folder: Path) -> None:
    if not folder.exists():
        return
    try:
        shutil.rmtree(folder)
    except (OSError, RecursionError):
        _force(folder)


def _force(root: Path) -> None:
    """For folders without permissions, or nested deeper than Python's stack: the system's own tools go by
    descriptors."""
    script = 'chmod -R u+rwX -- "$1"; exec rm -rf -- "$1"'
    try:
        subprocess.run(
            ["/bin/sh", "-c", script, "sh", root], check=True, capture_output=True, timeout=FORCE_LIMIT_S
        )
    except subprocess.SubprocessError as error:
        raise OSError(f"{root.name} could not be removed") from error
