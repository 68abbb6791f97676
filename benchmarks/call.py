"""A call of a script that does nothing, one after the other, against the same script started by `sh -c` in
a loop."""

import asyncio
import subprocess
import time

from benchmarks.gateway import deploy, gateway
from benchmarks.table import show

RUNS, CALLS = 5, 40


async def measure() -> None:
    called, started = [], []
    async with gateway() as running:
        connection = await running.connect()
        await deploy(connection, "nothing", "true")
        for _ in range(RUNS):
            began = time.perf_counter()
            for _ in range(CALLS):
                await connection.request("POST", "/run/nothing")
            called.append((time.perf_counter() - began) / CALLS * 1000)
            started.append(await asyncio.to_thread(_shells))
        connection.writer.close()
    show("a call of `true` by the process executor", "ms", {"POST /run": called, "sh -c true": started})


def _shells() -> float:
    began = time.perf_counter()
    for _ in range(CALLS):
        subprocess.run(["/bin/sh", "-c", "true"], check=True)
    return (time.perf_counter() - began) / CALLS * 1000
