"""Whatever is wrong with Kubernetes at the start, the process is there, says it in `/ready` and in one line
of the log, and works as soon as it is mended."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.backends.cluster import Cluster, open_cluster
from gateway.backends.cluster.rights import GATEWAY, WORKER
from gateway.settings import Settings
from tests.gateway_process import GatewayProcess, wait_for
from tests.servers.control_plane import ADMIN, write_kubeconfig
from tests.servers.minio import free_port
from tests.servers.nobody import allow_all, as_nobody
from tests.servers.tripwire import tripwire_to

pytestmark = [pytest.mark.services, pytest.mark.timeout(120)]


@asynccontextmanager
async def administered(kubeconfig: Path, namespace: str) -> AsyncIterator[Cluster]:
    settings = Settings.model_validate({"kubeconfig": str(kubeconfig), "kubernetes_namespace": namespace})
    async with open_cluster(settings) as cluster:
        yield cluster
    await asyncio.sleep(0.2)


@pytest.fixture
def namespace(kubeconfig: Path) -> str:
    name = f"weather-{secrets.token_hex(4)}"

    async def make() -> None:
        async with administered(kubeconfig, name) as cluster:
            await cluster.create("/api/v1/namespaces", {"metadata": {"name": name}})

    asyncio.run(make())
    return name


@contextmanager
def started(folder: Path, kubeconfig: Path, namespace: str) -> Iterator[GatewayProcess]:
    """Launched, whatever it says of itself."""
    settings = {
        "REGISTRY_URL": "kubernetes:",
        "LAUNCHER_URL": "kubernetes:",
        "KUBECONFIG": str(kubeconfig),
        "KUBERNETES_NAMESPACE": namespace,
        "POD_IMAGE": "dev.local/none:1",
        "INTERNAL_URL": "http://127.0.0.1:9",
        "CLAIM_KEY": "key",
        "LOG_FORMAT": "json",
    }
    gateway = GatewayProcess(folder, settings)
    gateway.launch()
    try:
        yield gateway
    finally:
        assert gateway.stop() == 0


def not_ready(gateway: GatewayProcess) -> dict[str, str]:
    with gateway.http() as http:
        told: dict[str, str] = http.get("/ready").json().get("not_ready", {})
        return told


def lines(gateway: GatewayProcess, event: str) -> list[str]:
    logged = [json.loads(line) for line in gateway.log().splitlines() if line.startswith("{")]
    return [line.get("why", "") for line in logged if line["event"] == event]


def assert_it_works(gateway: GatewayProcess) -> None:
    """A service is deployed; its job is there to be launched."""
    wait_for(lambda: not not_ready(gateway), within_s=30)
    with gateway.http() as http:
        definition = {"name": "mended", "image": "none", "script": "true", "cpu": "900"}
        assert http.post("/system/services", json=definition).status_code == 201
        job = http.post("/job/mended").headers["X-OSCAR-Job-ID"]
        wait_for(lambda: http.get(f"/v1/jobs/{job}").json()["state"] == "running")


def test_missing_rights(kubeconfig: Path, namespace: str, tmp_path: Path) -> None:
    nobody = as_nobody(kubeconfig, tmp_path / "nobody.yaml")
    with started(tmp_path / "data", nobody, namespace) as gateway:
        wait_for(lambda: not_ready(gateway).keys() == {"registry", "launcher"})
        told = not_ready(gateway)
        assert "does not allow this process to list configmaps" in told["registry"]
        assert "does not allow this process to list jobs" in told["launcher"]
        assert lines(gateway, "watch.broken").count(told["registry"]) <= 1

        async def mend() -> None:
            async with administered(kubeconfig, namespace) as cluster:
                both = {(one.group, one.resource): one for one in WORKER}
                for one in GATEWAY:
                    known = both.get((one.group, one.resource), one)
                    both[one.group, one.resource] = type(one)(
                        one.group, one.resource, one.verbs | known.verbs
                    )
                await allow_all(cluster, tuple(both.values()))

        asyncio.run(mend())
        assert_it_works(gateway)


def test_wrong_credentials(kubeconfig: Path, namespace: str, tmp_path: Path) -> None:
    as_nobody(kubeconfig, tmp_path / "nobody.yaml")
    server = next(line.split()[-1] for line in kubeconfig.read_text().splitlines() if "server:" in line)
    mine = write_kubeconfig(tmp_path / "mine.yaml", server, "no-such-token")
    with started(tmp_path / "data", mine, namespace) as gateway:
        wait_for(lambda: not_ready(gateway).keys() == {"registry", "launcher"})
        told = set(not_ready(gateway).values())
        assert told == {"Kubernetes does not know this process's credentials"}
        assert "no-such-token" not in gateway.log()
        write_kubeconfig(mine, server, ADMIN)
        assert_it_works(gateway)


def test_a_server_that_is_not_reachable(kubeconfig: Path, namespace: str, tmp_path: Path) -> None:
    as_nobody(kubeconfig, tmp_path / "nobody.yaml")
    server = next(line.split()[-1] for line in kubeconfig.read_text().splitlines() if "server:" in line)
    port = free_port()
    mine = write_kubeconfig(tmp_path / "mine.yaml", f"https://127.0.0.1:{port}", ADMIN)
    with started(tmp_path / "data", mine, namespace) as gateway:
        wait_for(lambda: not_ready(gateway).keys() == {"registry", "launcher"})
        assert str(port) not in "".join(not_ready(gateway).values())
        with tripwire_to(urlsplit(server).port or 443, port=port):
            assert_it_works(gateway)
