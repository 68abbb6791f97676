"""Durable accepts by `POST /job` of 1 KiB from 16 connections, against 16 clients that each commit one bare
row to SQLite.

Both fsync before they answer. The reference speaks to SQLite from threads of one process, without HTTP.
"""

import asyncio
import sqlite3
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.gateway import Connection, deploy, gateway
from benchmarks.table import show

CLIENTS, RUNS, SECONDS = 16, 5, 3.0
BODY = b"x" * 1024


async def measure() -> None:
    accepted, inserted = [], []
    async with gateway(JOBS_LIVE_LIMIT="1") as running:
        connections = [await running.connect() for _ in range(CLIENTS)]
        await deploy(connections[0], "bench", "sleep 600")
        for _ in range(RUNS):
            accepted.append(await _accepts(connections))
            inserted.append(await asyncio.to_thread(_inserts))
        # With its attempt, which would go on.
        await connections[0].request("DELETE", "/system/services/bench")
        for connection in connections:
            connection.writer.close()
    show("durable accept, 1 KiB, 16 clients", "jobs/s", {"POST /job": accepted, "INSERT + COMMIT": inserted})


async def _accepts(connections: list[Connection]) -> float:
    until = time.perf_counter() + SECONDS

    async def client(connection: Connection) -> int:
        count = 0
        while time.perf_counter() < until:
            status, answer = await connection.request("POST", "/job/bench", BODY)
            if status != 201:
                raise SystemExit(f"refused with {status}: {answer.decode()}")
            count += 1
        return count

    return sum(await asyncio.gather(*map(client, connections))) / SECONDS


def _inserts() -> float:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ThreadPoolExecutor(CLIENTS) as threads:
        file = Path(folder) / "rows.db"
        database = sqlite3.connect(file)
        database.executescript(
            "PRAGMA journal_mode=WAL; CREATE TABLE rows (id INTEGER PRIMARY KEY, body BLOB)"
        )
        database.close()
        until = time.perf_counter() + SECONDS
        return sum(threads.map(lambda _: _insert(file, until), range(CLIENTS))) / SECONDS


def _insert(file: Path, until: float) -> int:
    database = sqlite3.connect(file, isolation_level=None, timeout=30)
    database.execute("PRAGMA synchronous=FULL")
    count = 0
    while time.perf_counter() < until:
        database.execute("INSERT INTO rows (body) VALUES (?)", (BODY,))
        count += 1
    database.close()
    return count
