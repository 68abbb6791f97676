"""SQLite's connections: how each is set up, and the threads that have one for themselves.

The driver for asyncio hands every statement, fetch and commit over to a thread and back: twenty times for one
accepted job, which took more than its write to the disk.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gateway.domain.problems import Invalid

T = TypeVar("T")


class OwnThread:
    """A thread with a connection: transactions in it are one piece of work, handed over once."""

    def __init__(self, engine: Engine, *, writes: bool) -> None:
        self._engine = engine.execution_options(immediate=writes)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Committed when `work` ends well, rolled back when it raises. Who stops waiting does not stop it."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, work)

    async def close(self) -> None:
        """After what is under way."""
        await asyncio.to_thread(self._thread.shutdown)
        self._engine.dispose()

    def _transact(self, work: Callable[[Connection], T]) -> T:
        with self._engine.begin() as connection:
            return work(connection)


def sqlite_engine(url: str, *, busy_s: float, **options: Any) -> AsyncEngine:
    """Connects when first used. Raises Invalid for a URL that names no file. `options` are the engine's."""
    place = _place(url)
    _make_private(Path(place.database or ""))
    engine = create_async_engine(place.set(drivername="sqlite+aiosqlite"), **options)
    _set_up(engine.sync_engine, busy_s=busy_s)
    return engine


def sqlite_thread(url: str, *, busy_s: float, writes: bool) -> OwnThread:
    """For a file that `sqlite_engine` has made."""
    engine = create_engine(_place(url).set(drivername="sqlite"), pool_size=1, hide_parameters=True)
    _set_up(engine, busy_s=busy_s)
    return OwnThread(engine, writes=writes)


def _place(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise Invalid("not a database URL", field="DATABASE_URL") from error
    if parsed.database in (None, "", ":memory:"):
        raise Invalid("the ledger must survive a restart: name a file", field="DATABASE_URL")
    return parsed


def _make_private(path: Path) -> None:
    """SQLite gives its files, also those beside it, the mode the database has: requests are in there."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)


def _set_up(engine: Engine, *, busy_s: float) -> None:
    event.listen(engine, "connect", partial(_prepare, busy_s=busy_s))
    event.listen(engine, "begin", _begin)


def _prepare(connection: Any, _record: object, *, busy_s: float) -> None:
    # Transactions begin where `_begin` says, not where the driver guesses.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={int(busy_s * 1000)}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # A writer that begins as a reader is refused, without any waiting, when another one wrote in between.
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
