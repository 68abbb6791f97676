"""Calls held for their jobs, thousands at once: what each of them costs in memory, against an idle
connection, and how soon after its job's end it is answered."""

import asyncio
import json
import resource
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from statistics import quantiles

from benchmarks.gateway import Connection, Gateway, deploy, gateway
from benchmarks.processes import resident_bytes

CALLS, TOGETHER, FIRST, ENDED = 5000, 250, 1000, 100
"""Held in the end, sent at once, held when what the process takes once and for all is there, and answered."""
SETTLE_S = 1.0
HELD_WITHIN_S = 120.0
BODY = b"x" * 256


async def measure() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        blocked = Path(name) / "blocked"
        blocked.touch()
        settings = {
            "HELD_CALLS_LIMIT": str(2 * CALLS),
            "CALLER_CALLS_LIMIT": str(2 * CALLS),
            "HOLD_LIMIT_S": "3600",
            "STOP_GRACE_S": "0",
        }
        async with gateway(**settings) as started:
            asking = await started.connect()
            await deploy(asking, "bench", f"while [ -e {blocked} ]; do sleep 0.1; done; cat $INPUT_FILE_PATH")
            await _measure(started, asking, blocked)


async def _measure(started: Gateway, asking: Connection, blocked: Path) -> None:
    await asyncio.sleep(SETTLE_S)
    before = resident_bytes(started.pid)
    connections = [await started.connect() for _ in range(CALLS)]
    await asyncio.sleep(SETTLE_S)
    idle = resident_bytes(started.pid)
    began, first = time.perf_counter(), 0
    for sent in range(0, CALLS, TOGETHER):
        for connection in connections[sent : sent + TOGETHER]:
            connection.writer.write(_request(started))
        await _all_held(asking, sent + TOGETHER)
        if sent + TOGETHER == FIRST:
            first = resident_bytes(started.pid)
    took_s = time.perf_counter() - began
    await asyncio.sleep(SETTLE_S)
    held = resident_bytes(started.pid)
    print(f"\n{CALLS} calls held at once, taken in at {CALLS / took_s:.0f}/s")
    print(f"{'an idle connection':28}{(idle - before) / CALLS / 1024:10.1f}  KiB")
    print(f"{'a held call, all of it':28}{(held - before) / CALLS / 1024:10.1f}  KiB")
    each = (idle - before) / CALLS + (held - first) / (CALLS - FIRST)
    print(f"{'each beyond the first 1,000':28}{each / 1024:10.1f}  KiB")
    blocked.unlink()
    late_ms = await _late_ms(connections, started)
    twentieths = quantiles(late_ms, n=20)
    print(f"{'answered after the end':28}{twentieths[9]:10.1f}  ms median, {twentieths[18]:.1f} ms p95")
    for connection in connections:
        connection.writer.transport.abort()


def _request(started: Gateway) -> bytes:
    head = f"POST /run/bench HTTP/1.1\r\nHost: x\r\nAuthorization: {started.authorization}\r\n"
    return f"{head}Prefer: wait=3000\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY


async def _all_held(asking: Connection, count: int) -> None:
    async with asyncio.timeout(HELD_WITHIN_S):
        while await _accepted(asking) < count:  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.02)


async def _accepted(asking: Connection) -> float:
    name = "oscar_gateway_jobs_accepted_total "
    _, text = await asking.request("GET", "/metrics")
    return sum(float(line[len(name) :]) for line in text.decode().splitlines() if line.startswith(name))


async def _late_ms(connections: Sequence[Connection], started: Gateway) -> list[float]:
    """Of the first `ENDED` that are answered: from the job's end, as the ledger has it, to its answer."""
    answered: dict[str, float] = {}
    enough = asyncio.Event()

    async def answer(connection: Connection) -> None:
        head = (await connection.reader.readuntil(b"\r\n\r\n")).decode().lower()
        answered[head.partition("x-oscar-job-id: ")[2].partition("\r\n")[0]] = time.time()
        if len(answered) >= ENDED:
            enough.set()

    async with asyncio.timeout(HELD_WITHIN_S), asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(answer(connection)) for connection in connections]
        await enough.wait()
        for task in waiting:
            task.cancel()
    late_ms, asking = [], await started.connect()
    for job, at in answered.items():
        _, body = await asking.request("GET", f"/v1/jobs/{job}")
        late_ms.append((at - datetime.fromisoformat(json.loads(body)["finished_at"]).timestamp()) * 1000)
    return late_ms
