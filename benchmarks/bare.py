"""Bare rows, each committed to the disk by itself, one after the other: what anything durable costs."""

import sqlite3
import time
from pathlib import Path

import asyncpg

BODY = b"x" * 1024


def sqlite_inserts(folder: Path, count: int) -> list[float]:
    """Milliseconds each."""
    database = sqlite3.connect(folder / "bare.db", isolation_level=None)
    database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE bare (body BLOB)")
    took_ms = []
    for _ in range(count):
        began = time.perf_counter()
        database.execute("INSERT INTO bare VALUES (?)", (BODY,))
        took_ms.append((time.perf_counter() - began) * 1000)
    database.close()
    return took_ms


async def postgresql_inserts(url: str, count: int) -> list[float]:
    """Milliseconds each."""
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE bare (body bytea)")
    took_ms = []
    for _ in range(count):
        began = time.perf_counter()
        await connection.execute("INSERT INTO bare VALUES ($1)", BODY)
        took_ms.append((time.perf_counter() - began) * 1000)
    await connection.close()
    return took_ms
