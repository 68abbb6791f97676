"""A Kubernetes API server of our own, over its own etcd: RBAC and all objects are real, but nothing runs."""

import os
import shutil
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml

CACHE = Path("~/.cache/oscar-gateway/bin").expanduser()
START_S = 60.0
ADMIN = "admin-token"


@contextmanager
def control_plane(folder: Path) -> Iterator[Path]:
    """A kubeconfig of an administrator. TEST_KUBECONFIG names a cluster to use instead; without programs to
    start one the test is skipped, and fails in CI."""
    if given := os.environ.get("TEST_KUBECONFIG"):
        yield Path(given)
        return
    etcd, api_server = shutil.which("etcd"), _api_server()
    if not etcd or not api_server:
        if os.environ.get("CI"):
            pytest.fail("etcd and kube-apiserver are needed")
        pytest.skip("no etcd and kube-apiserver here")
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as running:
        peers, clients, secure = _free_port(), _free_port(), _free_port()
        running.enter_context(_process("etcd", _etcd(etcd, folder, peers, clients), folder))
        arguments = _arguments(api_server, folder, clients, secure)
        server = running.enter_context(_process("kube-apiserver", arguments, folder))
        _await_ready(f"https://127.0.0.1:{secure}/readyz", server, folder)
        yield write_kubeconfig(folder / "admin.yaml", f"https://127.0.0.1:{secure}", ADMIN)


def write_kubeconfig(path: Path, server: str, token: str) -> Path:
    """For one user of one server, whose certificate is its own and not checked."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": server, "insecure-skip-tls-verify": True}}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }
    path.write_text(yaml.safe_dump(document))
    path.chmod(0o600)
    return path


def _api_server() -> str | None:
    built = sorted(CACHE.glob("kube-apiserver-v*"))
    return str(built[-1]) if built else shutil.which("kube-apiserver")


def _etcd(program: str, folder: Path, peers: int, clients: int) -> list[str]:
    peer, client = f"http://127.0.0.1:{peers}", f"http://127.0.0.1:{clients}"
    return [
        *(program, "--name=test", f"--data-dir={folder / 'etcd'}", "--unsafe-no-fsync", "--log-level=error"),
        *(f"--listen-client-urls={client}", f"--advertise-client-urls={client}"),
        *(f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}"),
        f"--initial-cluster=test={peer}",
    ]


def _arguments(program: str, folder: Path, clients: int, secure: int) -> list[str]:
    key = folder / "accounts.key"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    tokens = folder / "tokens.csv"
    tokens.write_text(f"{ADMIN},admin,admin,system:masters\nnobody-token,nobody,nobody\n")
    issuer = "https://kubernetes.default.svc"
    return [
        *(program, f"--etcd-servers=http://127.0.0.1:{clients}", "--bind-address=127.0.0.1"),
        *(
            f"--secure-port={secure}",
            f"--cert-dir={folder / 'certificates'}",
            "--advertise-address=127.0.0.1",
        ),
        *("--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.96.0.0/16", "--profiling=false"),
        *("--authorization-mode=RBAC", f"--token-auth-file={tokens}", "--allow-privileged=true"),
        *(f"--service-account-issuer={issuer}", f"--service-account-key-file={key}"),
        # Without controllers no namespace would get its account; nothing runs here.
        *(f"--service-account-signing-key-file={key}", "--disable-admission-plugins=ServiceAccount"),
    ]


@contextmanager
def _process(name: str, arguments: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(arguments, stdout=log, stderr=log, cwd=folder)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_ready(url: str, server: subprocess.Popen[bytes], folder: Path) -> None:
    anything = ssl.create_default_context()
    anything.check_hostname, anything.verify_mode = False, ssl.CERT_NONE
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {ADMIN}"})
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert server.poll() is None, (folder / "kube-apiserver.log").read_text()[-2000:]
        try:
            with urllib.request.urlopen(request, timeout=5, context=anything):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"no API server within {START_S} s: {(folder / 'kube-apiserver.log').read_text()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
