"""What was answered is on the disk: after a killed process, on a full disk, behind another process's lock."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.backends.ledger.database import open_database
from gateway.backends.ledger.sql import open_ledger
from gateway.domain.job import Cause, JobId, JobQuery, NewJob, Payload
from gateway.domain.problems import Unavailable

NOW = datetime(2030, 1, 1, tzinfo=UTC)

COMMON = """
import asyncio, itertools, sys
from datetime import UTC, datetime
from gateway.backends.ledger.sql import open_ledger
from gateway.domain.job import Cause, JobId, NewJob, Payload

def new_job(name, size=100):
    return NewJob(JobId(name), "grey", "u", Cause.REQUEST, "ada", payload=Payload(size, b"x" * size))
"""

ACCEPT_FOR_EVER = """
async def one_client(ledger, client):
    for number in itertools.count():
        (accepted,) = await ledger.accept([new_job(f"grey-{client}-{number}")], now=datetime.now(UTC))
        sys.stdout.buffer.raw.write(f"{accepted.id}\\n".encode())

async def main():
    async with open_ledger(sys.argv[1]) as ledger, asyncio.TaskGroup() as tasks:
        for client in range(8):
            tasks.create_task(one_client(ledger, client))

asyncio.run(main())
"""

FILL_THE_DISK = """
import os, resource
from pathlib import Path
from gateway.domain.problems import StorageFull

async def main():
    file = Path(sys.argv[1].removeprefix("sqlite:///"))
    async with open_ledger(sys.argv[1]) as ledger:
        await ledger.accept([new_job("grey-before")], now=datetime.now(UTC))
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        largest = max(path.stat().st_size for path in file.parent.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 200_000, hard))
        accepted = 1
        try:
            while accepted < 1000:
                await ledger.accept([new_job(f"grey-{accepted}", 10_000)], now=datetime.now(UTC))
                accepted += 1
        except StorageFull as problem:
            print("full", problem.retry_after_s)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        await ledger.ready()
        (after,) = await ledger.accept([new_job("grey-after")], now=datetime.now(UTC))
        census = await ledger.census()
        print(after.created, sum(census.states.values()) - accepted)

asyncio.run(main())
"""


def script(body: str, file: Path) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(COMMON + body), f"sqlite:///{file}"]


def kill_while_it_answers(file: Path) -> list[JobId]:
    """The ids a process told to have accepted before it was killed."""
    process = subprocess.Popen(script(ACCEPT_FOR_EVER, file), stdout=subprocess.PIPE)
    assert process.stdout is not None
    answered = [process.stdout.readline() for _ in range(300)]
    os.kill(process.pid, signal.SIGKILL)
    answered += process.stdout.readlines()
    process.stdout.close()
    process.wait(timeout=5)

    # The last line may be half of one: the kill comes at any moment.
    return [JobId(line.decode().strip()) for line in answered if line.endswith(b"\n")]


async def test_every_job_that_was_answered_survives_a_killed_process(file: Path) -> None:
    ids = kill_while_it_answers(file)

    async with open_ledger(f"sqlite:///{file}") as ledger:
        assert await ledger.remembered(ids) == frozenset(ids)
        census = await ledger.census()
        assert sum(census.states.values()) == (await ledger.totals())["accepted"] >= len(ids)


def test_a_full_disk_is_told_loses_nothing_and_is_got_over(file: Path) -> None:
    done = subprocess.run(script(FILL_THE_DISK, file), check=True, capture_output=True, text=True, timeout=20)

    assert done.stdout.splitlines() == ["full 1", "True 1"]


async def test_every_commit_waits_for_the_disk(file: Path) -> None:
    """No killed process can show this, only a machine without power: so the setting itself is looked at."""
    full = 2
    async with (
        open_database(f"sqlite:///{file}", busy_s=1) as database,
        database.writing() as one,
        database.reading() as other,
    ):
        assert await one.scalar(text("PRAGMA synchronous")) == full
        assert await other.scalar(text("PRAGMA synchronous")) == full


async def test_a_database_locked_by_another_is_unavailable_and_comes_back(file: Path) -> None:
    new = NewJob(JobId("grey-1"), "grey", "u", Cause.REQUEST, "ada", payload=Payload(1, b"x"))
    async with open_ledger(f"sqlite:///{file}", busy_s=0.05) as ledger:
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(Unavailable) as refused:
            await ledger.accept([new], now=NOW)
        with pytest.raises(Unavailable):
            await ledger.ready()
        assert (await ledger.jobs(JobQuery())).jobs == ()
        other.execute("ROLLBACK")
        other.close()

        assert refused.value.retry_after_s == 1
        (accepted,) = await ledger.accept([new], now=NOW)
        assert accepted.created
