"""A ledger's SQLite file without a job, made once in this process and copied: making one takes a fifth of a
gateway's start. What is about a first start itself must not use it."""

import asyncio
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

NAME = "ledger.db"


def lay_empty_ledger(data_dir: Path) -> None:
    """Where a gateway looks for it, unless there is one."""
    if not (data_dir / NAME).exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        shutil.copy(empty_ledger(), data_dir / NAME)


@cache
def empty_ledger() -> Path:
    from gateway.backends.ledger.sql import open_ledger

    path = Path(_folder().name) / NAME

    async def make() -> None:
        async with open_ledger(f"sqlite:///{path}"):
            pass

    with ThreadPoolExecutor(1) as apart:  # the caller may be in a loop
        apart.submit(asyncio.run, make()).result()
    return path


@cache
def _folder() -> "tempfile.TemporaryDirectory[str]":
    """Removed when this process ends."""
    return tempfile.TemporaryDirectory(prefix="empty-ledger-")
