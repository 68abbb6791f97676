"""The index's database: SQLite on one thread, which alone touches it, one function a transaction.

Not aiosqlite: there a transaction is several hops to its thread, and a caller cancelled between two of
them leaves it half-way. Here it runs as a whole, and what follows from it on the disk is done before
anything else reads the index.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from gateway.domain.problems import StorageFull, Unavailable

T = TypeVar("T")

Work = Callable[[sqlite3.Connection], T]
Exchange = Callable[[sqlite3.Connection], tuple[T, Iterable[str]]]
"""Answers a result, and the blobs that nothing refers to any more once it is committed."""


class Database:
    """`remove` is called on the database's thread with the blobs that an exchange has left behind."""

    def __init__(self, path: Path, *, schema: str, remove: Callable[[Iterable[str]], None]) -> None:
        self._path = path
        self._schema = schema
        self._remove = remove
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="object-index")
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Raises StorageFull, Unavailable."""
        await self._run(self._open)

    async def close(self) -> None:
        """After what was begun has ended. Fine when it was never open."""
        try:
            await self._run(self._close)
        finally:
            self._thread.shutdown(wait=False)

    async def read(self, work: Work[T]) -> T:
        """What `work` answers, from what is committed. Raises Unavailable, and what `work` raises."""
        return await self._run(lambda: work(self._opened()))

    async def change(self, work: Work[T]) -> T:
        """One durable transaction that touches no blobs; nothing of it when `work` raises.

        Raises StorageFull, Unavailable, and what `work` raises.
        """
        return await self.exchange(lambda db: (work(db), ()))

    async def exchange(self, work: Exchange[T], *, brought: Sequence[str] = ()) -> T:
        """One durable transaction, and then the blobs: those it let go are removed, or those `brought`
        for it, if it came to nothing.

        It goes through even when the caller is cancelled. Raises as `change` does.
        """
        return await self._run(lambda: self._exchange(work, brought))

    def _exchange(self, work: Exchange[T], brought: Sequence[str]) -> T:
        try:
            with _transaction(self._opened()) as connection:
                result, left_behind = work(connection)
        except BaseException as error:
            if not _in_doubt(error):
                self._remove(brought)
            raise
        self._remove(left_behind)
        return result

    def _open(self) -> None:
        # Autocommit: transactions are ours to begin.
        connection = sqlite3.connect(self._path, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.executescript(self._schema)
        self._connection = connection

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise Unavailable("the object store is closed")
        return self._connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    async def _run(self, work: Callable[[], T]) -> T:
        def told() -> T:
            with _told_as_problems():
                return work()

        try:
            running = asyncio.get_running_loop().run_in_executor(self._thread, told)
        except RuntimeError as error:  # the thread has been shut down
            raise Unavailable("the object store is closed") from error
        return await asyncio.shield(running)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        # SQLite itself has rolled back after some errors, a full disk among them.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _in_doubt(error: BaseException) -> bool:
    """Whether the commit may have reached the disk all the same.

    The next start tells, and removes what is not wanted.
    """
    return isinstance(error, sqlite3.Error) and not _full(error)


def _full(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


@contextlib.contextmanager
def _told_as_problems() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if _full(error):
            raise StorageFull("the object store has no space left") from error
        raise Unavailable("the object store's index cannot be used") from error
