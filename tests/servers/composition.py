"""docker-compose.yml without containers: its commands, environments, volumes and secrets as they stand there,
with host names and folders replaced by this machine's. RabbitMQ and PostgreSQL, whose images have entry
points of their own, are Debian's.

The engine is that of `DOCKER_URL`; without it, or another user than root, the test is skipped, and fails with
`CI=true`.
"""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from tests.gateway_process import START_S, Reached, wait_for
from tests.servers.minio import CACHE, VERSION, answers, free_port
from tests.servers.postgresql import Server, execute, own_postgresql
from tests.servers.rabbitmq import Broker, own_rabbitmq

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"


def read_services(variables: Mapping[str, str]) -> dict[str, Any]:
    """Its services, with the shell's variables filled in as Compose does."""

    def filled(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        value = variables.get(found["name"]) or found["default"]
        assert value is not None, f"{found['name']} is not set"
        return value

    variable = r"\$\$|\$\{(?P<name>\w+)(?::-(?P<default>[^}]*)|:\?[^}]*)?\}"
    text = re.sub(r"^\s*#.*$", "", FILE.read_text(), flags=re.MULTILINE)
    services: dict[str, Any] = yaml.safe_load(re.sub(variable, filled, text))["services"]
    return services


@dataclass
class Composition(Reached):
    """Its processes by their services' names. The servers are there; ours are started by the test."""

    folder: Path
    engine: str
    """The engine's socket."""
    services: dict[str, Any]
    places: dict[str, str] = field(default_factory=dict)
    """Host and port, as the file has them → here."""
    ports: dict[str, int] = field(default_factory=dict)
    """That our processes listen on."""
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *, like: str = "") -> None:
        """Launched, and ready. Another one `like` a service has volumes of its own, but for those that all
        share."""
        self.ports.setdefault(name, free_port())
        self.launch(name, like=like)
        with httpx.Client(base_url=f"http://127.0.0.1:{self.ports[name]}") as http:
            wait_for(partial(self._ready, name, http), within_s=START_S)
        if name == "gateway":
            self.endpoints = json.loads((self.volume(name, "/data") / "endpoints.json").read_text())

    def launch(self, name: str, *, like: str = "", options: tuple[str, ...] = ()) -> None:
        """Whatever its image or its configuration says of its command line and environment."""
        service = self.services[like or name]
        argv = [self.here(name, word, like=like) for word in (*service["entrypoint"], *service["command"])]
        given = {
            key: self.here(name, value, like=like) for key, value in service.get("environment", {}).items()
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [*argv, *options],
                env=self._image(name, like=like) | given,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
            )

    def kill(self, name: str) -> None:
        self.running[name].kill()
        self.running.pop(name).wait()

    def stop(self, name: str) -> int:
        """SIGTERM; the exit status."""
        self.running[name].send_signal(signal.SIGTERM)
        return self.running.pop(name).wait(timeout=30)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def volume(self, name: str, target: str, *, like: str = "") -> Path:
        """The folder in place of a container's."""
        return Path(self.here(name, target, like=like))

    def here(self, name: str, text: str, *, like: str = "") -> str:
        """What a service's configuration says, in this machine's terms."""
        for volume in self.services[like or name]["volumes"]:
            source, target = volume.split(":")[:2]
            place = self.engine
            if not source.startswith("/"):
                folder = self.folder / "volumes" / (name if source == like else source)
                folder.mkdir(parents=True, exist_ok=True)
                place = str(folder)
            text = re.sub(rf"(?<!\w){re.escape(target)}(?!\w)", place, text)
        return self.renamed(text)

    def renamed(self, text: str) -> str:
        for there, place in self.places.items():
            text = text.replace(there, place)
        return text

    def secret(self, name: str) -> dict[str, str]:
        """What was made for a process, by name."""
        lines = (self.volume("secrets", "/secrets") / name).read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def _image(self, name: str, *, like: str) -> dict[str, str]:
        """What a process finds in its image: programs, and ours its variables."""
        programs = f"{Path(sys.executable).parent}:{self.folder}:{os.environ['PATH']}"
        if name not in self.ports:
            return {"PATH": programs, "HOME": str(self.folder)}
        stated = re.findall(r"(DATA_DIR|LOG_FORMAT)=(\S+)", (ROOT / "Dockerfile").read_text())
        return {
            "PATH": programs,
            "HTTP_HOST": "127.0.0.1",
            "HTTP_PORT": str(self.ports[name]),
            **{key: self.here(name, value, like=like) for key, value in stated},
        }

    def _ready(self, name: str, http: httpx.Client) -> bool:
        assert self.running[name].poll() is None, self.log(name)
        try:
            return http.get("/ready").status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def composition(folder: Path) -> Iterator[Composition]:
    """Secrets made, servers up, gateway and worker ready."""
    engine = os.environ.get("DOCKER_URL", "").removeprefix("unix://")
    if not engine or os.geteuid() != 0:
        missing = "docker-compose.yml's processes need root and an engine: scripts/with-engine"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    composed = Composition({}, folder, engine, read_services({"DOCKER_GROUP": "0"}))
    try:
        with own_rabbitmq() as broker, own_postgresql() as database:
            _make_secrets(composed, broker, database)
            _let_in(composed, broker, database)
            _start_minio(composed)
            for name in ("gateway", "worker"):
                composed.start(name)
            yield composed
    finally:
        for process in composed.running.values():
            process.kill()
            process.wait()


def _make_secrets(composed: Composition, broker: Broker, database: Server) -> None:
    """As the first start does, and a second one leaves them. Then hosts are renamed in them too."""
    file = composed.volume("secrets", "/secrets") / "ours"
    made = [_secrets_after_start(composed, file) for _ in range(2)]
    assert made[0] == made[1]
    composed.ports = {"gateway": free_port(), "worker": free_port()}
    gateway, store = f"127.0.0.1:{composed.ports['gateway']}", f"127.0.0.1:{free_port()}"
    composed.places = {
        "rabbitmq:5672": f"{broker.host}:{broker.port}",
        "postgres:5432": urlsplit(database.url).netloc.partition("@")[2],
        "gateway:8080": gateway,
        "127.0.0.1:8080": gateway,
        "minio:9000": store,
        "127.0.0.1:9000": store,
    }
    file.write_text(composed.renamed(made[0]))


def _secrets_after_start(composed: Composition, file: Path) -> str:
    composed.launch("secrets")
    assert composed.running.pop("secrets").wait(timeout=10) == 0, composed.log("secrets")
    return file.read_text()


def _let_in(composed: Composition, broker: Broker, database: Server) -> None:
    """What the images of RabbitMQ and PostgreSQL do with their variables at their first start."""
    made = composed.secret("rabbitmq")
    user = made["RABBITMQ_DEFAULT_USER"]
    broker.control("add_user", user, made["RABBITMQ_DEFAULT_PASS"])
    broker.control("set_permissions", "-p", "/", user, ".*", ".*", ".*")
    made = composed.secret("postgres")
    role = f"CREATE ROLE {made['POSTGRES_USER']} LOGIN PASSWORD '{made['POSTGRES_PASSWORD']}'"
    asyncio.run(execute(database.url, role))
    owned = f"CREATE DATABASE {made['POSTGRES_DB']} OWNER {made['POSTGRES_USER']}"
    asyncio.run(execute(database.url, owned))


def _start_minio(composed: Composition) -> None:
    binary = shutil.which("minio") or str(CACHE / f"minio-{VERSION}")
    if not Path(binary).is_file():
        pytest.fail("no MinIO: scripts/servers builds it")
    (composed.folder / "minio").symlink_to(binary)
    place = composed.places["minio:9000"]
    composed.launch("minio", options=("--address", place))
    wait_for(lambda: answers(f"http://{place}"), within_s=START_S)
