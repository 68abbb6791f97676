"""From starting the process to its first answered call, embedded defaults, an empty data folder."""

import time

from benchmarks.gateway import deploy, gateway
from benchmarks.table import show

RUNS = 5


async def measure() -> None:
    first_call = []
    for _ in range(RUNS):
        began = time.perf_counter()
        async with gateway() as running:
            connection = await running.connect()
            await deploy(connection, "first", "echo first")
            await connection.request("POST", "/run/first")
            first_call.append(time.perf_counter() - began)
            connection.writer.close()
    show("start to first answered call", "s", {"embedded": first_call, "target": [2.0]})
