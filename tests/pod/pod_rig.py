"""A synchronous pod without a cluster: the sidecar and the loop as two processes that share a folder, as
their containers would."""

import asyncio
import contextlib
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import httpx
import psutil
import pytest

from gateway.backends.invoker.knative.manifest import LOOP
from gateway.staging.pod_call import READY_PATH
from tests.polling import until

ROOT = Path(__file__).parents[2]
SHELLS = ["dash", "busybox", "bash"]


@dataclass
class PodRig:
    calls: Path
    http: httpx.AsyncClient
    sidecar: "subprocess.Popen[bytes]"
    loop: "subprocess.Popen[bytes]"
    log: Path
    """What the loop's container would have as its log."""

    async def call(self, body: bytes = b"", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post("/", content=body, headers=named)

    async def ready(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return (await self.http.get(READY_PATH)).status_code == 200
        return False

    def left(self) -> list[str]:
        """Folders of calls."""
        return [path.name for path in self.calls.glob("call-*")]


@asynccontextmanager
async def open_pod(
    folder: Path, script: str, *, shell: str = "dash", slots: int = 1, limit: int = 1 << 20
) -> AsyncIterator[PodRig]:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    calls = folder / "calls"
    calls.mkdir()
    (folder / "script.sh").write_text(script)
    port = _free_port()
    with (folder / "log").open("wb") as log:
        http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20)
        sidecar = start_sidecar(calls, port, slots=slots, limit=limit)
        loop = start_loop(folder, shell, log=log, slots=slots)
        rig = PodRig(calls, http, sidecar, loop, folder / "log")
        try:
            async with http:
                await until(rig.ready, within_s=25)
                yield rig
        finally:
            for process in (rig.sidecar, rig.loop):
                await asyncio.to_thread(end_container, process)


def start_sidecar(calls: Path, port: int, *, slots: int, limit: int) -> "subprocess.Popen[bytes]":
    options = {
        "--calls": calls,
        "--slots": slots,
        "--port": port,
        "--log-limit": limit,
        "--output-limit": limit,
    }
    words = [str(word) for pair in options.items() for word in pair]
    command = [sys.executable, "-m", "workers.pod.serve", "--host", "127.0.0.1", *words]
    return subprocess.Popen(command, cwd=ROOT)


def start_loop(folder: Path, shell: str, *, log: BinaryIO, slots: int) -> "subprocess.Popen[bytes]":
    words = ["busybox", "sh"] if shell == "busybox" else [shell]
    return subprocess.Popen(
        [*words, "-c", LOOP, "loop", str(slots), folder / "calls", folder / "script.sh"], stderr=log
    )


def end_container(process: "subprocess.Popen[bytes]") -> None:
    """With all it started, as a container's end has it: none sees another one's end."""
    with contextlib.suppress(psutil.NoSuchProcess):
        first = psutil.Process(process.pid)
        first.suspend()
        children = first.children(recursive=True)
        for each in children:
            each.suspend()
        for each in children:
            each.kill()
    process.kill()
    process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
