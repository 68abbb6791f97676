"""The synchronous pod's own share of a call: sidecar, pipes, loop and the script's shell, without a cluster,
against the same script started by `sh -c` in a shell's loop."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.gateway import Gateway
from benchmarks.table import show
from gateway.backends.invoker.knative.manifest import LOOP

RUNS, CALLS = 5, 100
START_S = 20.0
CONTAINER = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
"""The loop as process 1, as it is in its container."""


async def measure() -> None:
    called, started = [], []
    async with _pod("true") as pod:
        connection = await pod.connect()
        for _ in range(RUNS):
            began = time.perf_counter()
            for _ in range(CALLS):
                status, _ = await connection.request("POST", "/", b"{}")
                assert status == 200
            called.append((time.perf_counter() - began) / CALLS * 1000)
            started.append(await asyncio.to_thread(shells))
        connection.writer.close()
    show("a call of `true` in a pod, without the way there", "ms", {"pod": called, "sh -c true": started})


def shells() -> float:
    """Milliseconds each."""
    loop = f"i=0; while [ $i -lt {CALLS} ]; do /bin/sh -c true; i=$((i+1)); done"
    began = time.perf_counter()
    subprocess.run(["/bin/sh", "-c", loop], check=True)
    return (time.perf_counter() - began) / CALLS * 1000


@asynccontextmanager
async def _pod(script: str) -> AsyncIterator[Gateway]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        calls, file, port = Path(folder, "calls"), Path(folder, "script.sh"), _free_port()
        calls.mkdir()
        file.write_text(script)
        limits = ["--log-limit", "1000000", "--output-limit", "1000000"]
        where = ["--calls", str(calls), "--host", "127.0.0.1", "--port", str(port)]
        contained = CONTAINER if os.geteuid() == 0 and shutil.which("unshare") else []
        sidecar = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "workers.pod.serve", *where, *limits
        )
        loop = await asyncio.create_subprocess_exec(
            *contained, "/bin/sh", "-c", LOOP, "loop", "1", str(calls), str(file)
        )
        try:
            yield await _ready(Gateway("127.0.0.1", port, "none"))
        finally:
            sidecar.terminate()
            await sidecar.wait()
            await loop.wait()


async def _ready(pod: Gateway) -> Gateway:
    async with asyncio.timeout(START_S):
        while True:
            try:
                connection = await pod.connect()
            except OSError:
                await asyncio.sleep(0.01)
                continue
            status, _ = await connection.request("GET", "/ready")
            connection.writer.close()
            if status == 200:
                return pod
            await asyncio.sleep(0.01)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
