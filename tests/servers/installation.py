"""The whole cluster form, installed as an operator installs it: this repository's chart by real Helm, on the
cluster that scripts/with-cluster brings up, with RabbitMQ, PostgreSQL and MinIO beside it on this machine.

Found by TEST_KUBECONFIG, TEST_KNATIVE_URL, TEST_POD_HOST and TEST_POD_IMAGE; without them the test is
skipped, and fails with `CI=true`.
"""

import json
import os
import secrets
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.gateway_process import Reached
from tests.servers.minio import Minio, minio
from tests.servers.postgresql import Server, own_postgresql
from tests.servers.rabbitmq import Broker, own_rabbitmq

ROOT = Path(__file__).parents[2]
VARIABLES = ("TEST_KUBECONFIG", "TEST_KNATIVE_URL", "TEST_POD_HOST", "TEST_POD_IMAGE")
READY_S = 180.0
RELEASE = "oscar-gateway"


@dataclass
class Installation(Reached):
    """A release in a namespace of its own; its services live in another."""

    namespace: str
    database: Server
    broker: Broker
    store: Minio

    @property
    def services_namespace(self) -> str:
        return f"{self.namespace}-svc"

    def kubectl(self, *arguments: str) -> str:
        """What it printed. Raises CalledProcessError."""
        return self._run([str(Path(os.environ["TEST_KUBECONFIG"]).parent / "bin" / "kubectl"), *arguments])

    def helm(self, *arguments: str) -> str:
        return self._run([str(ROOT / "scripts" / "helm"), *arguments])

    def values(self) -> dict[str, Any]:
        """Of the chart: where everything is, and no more."""
        repository, _, tag = os.environ["TEST_POD_IMAGE"].rpartition(":")
        return {
            "image": {"repository": repository, "tag": tag, "pullPolicy": "IfNotPresent"},
            "services": {"namespace": self.services_namespace},
            "gateway": {"resources": {"requests": {"cpu": "10m"}}},
            "worker": {"resources": {"requests": {"cpu": "10m"}}},
            "secrets": {
                "OSCAR_PASSWORD": self.endpoints["password"],
                "DATABASE_URL": self.database.url,
                "QUEUE_URL": self.broker.url,
                "CLAIM_KEY": secrets.token_urlsafe(32),
                "S3_ACCESS_KEY": self.store.access_key,
                "S3_SECRET_KEY": self.store.secret_key,
                "EVENTS_TOKEN": self.store.token,
            },
            "settings": {
                "OBJECTS_URL": self.store.url,
                "S3_EVENTS_ARN": Minio.ARN,
                "INVOKER_URL": f"knative+{os.environ['TEST_KNATIVE_URL']}",
                "IMAGE_PULL_POLICY": "IfNotPresent",
            },
        }

    def install(self, **more: Any) -> None:
        """Or upgrade; `more` replaces whole groups of values."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(self.values() | more, file)
            file.flush()
            self.helm(
                *("upgrade", "--install", RELEASE, str(ROOT / "charts" / "oscar-gateway")),
                *("--namespace", self.namespace, "--create-namespace", "--values", file.name),
            )
        address = ("get", "service", RELEASE, "-o", "jsonpath={.spec.clusterIP}")
        self.endpoints["url"] = f"http://{self.kubectl('-n', self.namespace, *address)}:8080"

    def await_ready(self) -> None:
        """Every process says that all its parts are there."""
        for name in ("gateway", "worker"):
            self.kubectl(
                *("-n", self.namespace, "rollout", "status", f"deployment/{RELEASE}-{name}"),
                f"--timeout={READY_S:.0f}s",
            )
        deadline = time.monotonic() + READY_S
        while not _ready(self.endpoints["url"]):
            assert time.monotonic() < deadline, self.kubectl(
                "-n", self.namespace, "get", "pods", "-o", "wide"
            )
            time.sleep(0.2)

    def remove(self) -> None:
        self.helm("uninstall", RELEASE, "--namespace", self.namespace, "--ignore-not-found", "--wait")
        for namespace in (self.namespace, self.services_namespace):
            self.kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=false")

    def _run(self, command: list[str]) -> str:
        environment = os.environ | {"KUBECONFIG": os.environ["TEST_KUBECONFIG"]}
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, f"{' '.join(command[:3])}: {ran.stdout}{ran.stderr}"
        return ran.stdout


@contextmanager
def installation(folder: Path) -> Iterator[Installation]:
    """Installed and ready. The store comes last: it asks where the gateway is, which starts without it."""
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if missing:
        told = f"no cluster: {', '.join(missing)} not set (scripts/with-cluster sets them)"
        pytest.fail(told) if os.environ.get("CI") else pytest.skip(told)
    host, token = os.environ["TEST_POD_HOST"], secrets.token_urlsafe(12)
    with ExitStack() as stack:
        database = stack.enter_context(own_postgresql(host=host))
        broker = stack.enter_context(own_rabbitmq(host))
        store = stack.enter_context(minio(folder, webhook="http://nowhere.invalid", host=host, token=token))
        installed = Installation(
            {
                "username": "oscar",
                "password": secrets.token_urlsafe(12),
                "s3": store.url,
                "access_key": store.access_key,
                "secret_key": store.secret_key,
            },
            f"oscar-{secrets.token_hex(3)}",
            database,
            broker,
            store,
        )
        stack.callback(installed.remove)
        installed.install()
        store.kill()
        store.webhook = f"{installed.endpoints['url']}/events"
        store.start()
        installed.await_ready()
        yield installed


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
