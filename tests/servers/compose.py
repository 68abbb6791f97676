"""docker-compose.yml brought up by Docker Compose itself, as a project of the tests' own: with volumes, an
address and networks apart from any other.

Images the engine does not have are replaced by stand-ins of scripts/stand-ins; nothing is pulled. The engine
is that of `DOCKER_URL`; without it, Compose or root, the test is skipped, and fails with `CI=true`.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml

from tests.gateway_process import Reached
from tests.servers.minio import CACHE

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
VERSION = "v2.40.3"
BUILD_S, UP_S, DOWN_S = 400.0, 150.0, 90.0
OURS = ("gateway", "worker", "secrets")
OF_THE_ENGINE = ("gateway", "worker")


def compose_program() -> list[str]:
    """Compose's command line: built by scripts/servers, or the plugin of this machine."""
    built = CACHE / f"docker-compose-{VERSION}"
    if built.is_file():
        return [str(built)]
    if not shutil.which("docker") or _ran(["docker", "compose", "version"]).returncode:
        _missing("no Docker Compose: scripts/servers builds it")
    return ["docker", "compose"]


@dataclass
class Project(Reached):
    """Its containers by their services' names."""

    name: str
    folder: Path
    environment: Mapping[str, str]
    changes: dict[str, dict[str, Any]]
    """By service: what is another here than in the file."""
    files: list[Path] = field(default_factory=lambda: [FILE])

    def add(self, name: str, *, like: str) -> None:
        """Another one like a service, with a /data of its own; `up` starts it."""
        volumes = [*self.changes[like]["volumes"], f"{name}:/data"]
        extends = {"file": str(FILE), "service": like}
        added = {**self.changes[like], "extends": extends, "volumes": volumes}
        self.write({"services": {name: added}, "volumes": {name: {}}})

    def write(self, content: Mapping[str, Any]) -> None:
        """One more file of the project's."""
        self.files.append(self.folder / f"{len(self.files)}.yml")
        self.files[-1].write_text(json.dumps(content))

    def up(self, *services: str) -> None:
        """Everything, or these services, up and healthy."""
        self.compose("up", "--wait", "--no-build", "--pull", "never", *services, within_s=UP_S)
        self.endpoints = json.loads(self.inside("gateway", "cat", "/data/endpoints.json"))

    def down(self, *options: str) -> None:
        """Everything is gone but the volumes."""
        self.compose("down", *options, within_s=DOWN_S)

    def kill(self, *services: str) -> None:
        """SIGKILL; nothing starts them again but `up`."""
        self.compose("kill", *services)

    def stop(self, service: str) -> int:
        """SIGTERM; the exit status."""
        self.compose("stop", service)
        return int(self.shown(service)["State"]["ExitCode"])

    def inside(self, service: str, *command: str) -> str:
        """What a command printed in the container of a service."""
        return self.compose("exec", "-T", service, *command)

    def log(self, service: str) -> str:
        return self.compose("logs", "--no-color", "--no-log-prefix", service)

    def shown(self, service: str) -> dict[str, Any]:
        """What the engine tells of a service's container."""
        container = self.compose("ps", "--all", "--quiet", service).strip()
        told = _ran(["docker", "inspect", container], self.environment, check=True).stdout
        shown: dict[str, Any] = json.loads(told)[0]
        return shown

    def secret(self, name: str) -> dict[str, str]:
        """What was made for a process, by name. MinIO's container is that of a root who may read all."""
        lines = self.inside("minio", "cat", f"/secrets/{name}").splitlines()
        return dict(line.split("=", 1) for line in lines)

    def compose(self, *arguments: str, within_s: float = 60.0) -> str:
        """What Compose printed; AssertionError with what it said when it failed."""
        files = [word for file in self.files for word in ("--file", str(file))]
        command = [*compose_program(), "--project-name", self.name, *files, *arguments]
        ran = _ran(command, self.environment, within_s=within_s)
        assert ran.returncode == 0, f"{arguments}: {ran.stderr}"
        return ran.stdout


@contextmanager
def compose_project(folder: Path) -> Iterator[Project]:
    """Everything of the file up and healthy; all removed after use."""
    url = os.environ.get("DOCKER_URL", "")
    if not url or os.geteuid() != 0:
        _missing("docker-compose.yml needs root and an engine: scripts/with-engine")
    compose_program()
    socket = Path(url.removeprefix("unix://"))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "DOCKER_HOST": url,
        "DOCKER_GROUP": str(socket.stat().st_gid),
        # Any address of loopback will do: others may have this machine's 127.0.0.1:8080.
        "OSCAR_ADDRESS": f"127.{64 + os.getpid() % 128}.{os.getpid() // 128 % 256}.1",
    }
    changes = _changes(environment, socket)
    project = Project({}, f"oscar-gateway-test-{os.getpid()}", folder, environment, changes)
    project.write({"services": changes})
    try:
        project.up()
        yield project
    finally:
        project.down("--volumes", "--remove-orphans")


def services() -> dict[str, Any]:
    """Of the file, as they stand there."""
    read: dict[str, Any] = yaml.safe_load(FILE.read_text())["services"]
    return read


def _changes(environment: Mapping[str, str], socket: Path) -> dict[str, dict[str, Any]]:
    """What of the file is another here: the engine's socket, and images that are not to be had."""
    absent = [
        name
        for name, service in services().items()
        if _ran(["docker", "image", "inspect", service["image"]], environment).returncode
    ]
    if absent:
        built = _ran([str(ROOT / "scripts" / "stand-ins")], {**os.environ}, within_s=BUILD_S)
        assert built.returncode == 0, built.stderr
    changed: dict[str, dict[str, Any]] = {name: {} for name in services()}
    for name in absent:
        changed[name]["image"] = f"dev.local/{'ours' if name in OURS else name}:stand-in"
    for name in OF_THE_ENGINE:
        changed[name]["volumes"] = [f"{socket}:/var/run/docker.sock"]
    return changed


def _ran(
    command: list[str],
    environment: Mapping[str, str] | None = None,
    *,
    within_s: float = 60.0,
    check: bool = False,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=within_s, check=check
    )


def _missing(what: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)
