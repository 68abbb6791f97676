"""An open loop: 1,000 calls a second, whatever the answers do, to a backend that takes 10 ms; what the
gateway adds to it. Run it on the load's core: `taskset -c 1 python -m benchmarks steady`."""

import asyncio
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import quantiles

from benchmarks.gateway import Connection, Gateway, gateway
from benchmarks.processes import LOAD, UNDER_TEST, build, on_core, require, running
from benchmarks.subject import free_port, token_of
from benchmarks.table import show

RATE, SECONDS, RUNS = 1000, 10, 3
BODY = b"x" * 256


async def measure() -> None:
    require("go", "taskset")
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        port = free_port()
        upstream = [str(await build("upstream", Path(name))), "-listen", f"127.0.0.1:{port}"]
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(
                running(on_core(LOAD, *upstream, "-delay", "10ms"), port=port, GOMAXPROCS="1")
            )
            started = await stack.enter_async_context(
                gateway(UNDER_TEST, INVOKER_URL=f"http://127.0.0.1:{port}", LOG_LEVEL="error")
            )
            bearer = f"Bearer {await token_of(started)}"
            ways = {
                "gateway": Gateway(started.host, started.port, bearer),
                "the backend alone": Gateway("127.0.0.1", port, bearer),
            }
            took: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
            for _ in range(RUNS):
                for way, asked in ways.items():
                    took[way].append(await _latencies(asked))
            for at, what in enumerate(("p95", "p99")):
                title = f"{RATE} calls/s, {what}"
                show(title, "ms", {way: [run[at] for run in runs] for way, runs in took.items()})


async def _latencies(asked: Gateway) -> tuple[float, float]:
    """95th and 99th percentile in ms, from when each call was due."""
    free: list[Connection] = []
    took_ms: list[float] = []

    async def call(due: float) -> None:
        connection = free.pop() if free else await asked.connect()
        status, _ = await connection.request("POST", "/run/bench", BODY)
        if status != 200:
            raise SystemExit(f"refused with {status}")
        took_ms.append((time.perf_counter() - due) * 1000)
        free.append(connection)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(RATE * SECONDS):
            due = began + number / RATE
            if (wait_s := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait_s)
            tasks.create_task(call(due))
    for connection in free:
        connection.writer.close()
    hundredths = quantiles(took_ms, n=100)
    return hundredths[94], hundredths[98]
