"""Reconciling a prefix whose objects are all known, against listing it and doing nothing: on a real MinIO.

`RECONCILED_OBJECTS` says how many; making them takes longer than measuring. Memory is this process's own,
above what it had before.
"""

import asyncio
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psutil

from benchmarks.table import show
from gateway.actions.deploy_service import create_service
from gateway.actions.reconcile_buckets import reconcile_buckets
from gateway.backends.connect import Backends, open_backends
from gateway.backends.identity.protocol import Caller
from gateway.credentials import with_credentials
from gateway.settings import read_settings

OBJECTS = int(os.environ.get("RECONCILED_OBJECTS", "20000"))
RUNS, WRITERS = 3, 16


async def measure() -> None:
    from tests.servers.minio import minio

    with tempfile.TemporaryDirectory(prefix="bench-") as folder, minio(Path(folder), own=True) as server:
        environment = server.settings() | {"DATA_DIR": f"{folder}/gateway", "S3_EVENTS_ARN": ""}
        settings = with_credentials(read_settings(environment))
        async with open_backends(settings) as (backends, _):
            definition = {"name": "bench", "image": "none", "script": "true", "input": [INPUT]}
            await create_service(backends, json.dumps(definition).encode(), Caller("oscar", admin=True))
            await _fill(backends)
            assert await reconcile_buckets(backends) == OBJECTS
            await _compare(backends)


INPUT = {"storage_provider": "minio", "path": "bench/in"}


async def _compare(backends: Backends) -> None:
    process = psutil.Process()
    before = process.memory_info().rss
    reconciled, listed = [], []
    for _ in range(RUNS):
        listed.append(await _timed(lambda: _list(backends)))
        reconciled.append(await _timed(lambda: reconcile_buckets(backends)))
    grown = (process.memory_info().rss - before) / 2**20
    show(f"{OBJECTS} objects, all known", "s", {"reconcile": reconciled, "bare listing": listed})
    print(f"memory above the start: {grown:.0f} MiB")


async def _list(backends: Backends) -> int:
    return sum([len(page) async for page in backends.objects.walk("bench", prefix="in/")])


async def _timed(step: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await step()
    return time.perf_counter() - began


async def _fill(backends: Backends) -> None:
    async def write(first: int) -> None:
        for number in range(first, OBJECTS, WRITERS):
            await backends.objects.put("bench", f"in/{number:07}", _once())

    await asyncio.gather(*map(write, range(WRITERS)))


async def _once() -> AsyncIterator[bytes]:
    yield b"x" * 64
