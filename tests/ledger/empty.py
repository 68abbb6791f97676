"""Empty ledgers, for all who test one: made once, copied or emptied for each test."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.backends.ledger.protocol import Ledger
from gateway.backends.ledger.sql import open_ledger
from tests.ledger.template import empty_ledger
from tests.servers.postgresql import Server, database, execute, postgresql

LEDGERS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.services)]
"""The kinds, each with a fixture `<kind>_url`."""

EMPTY = """
DELETE FROM jobs; DELETE FROM remembered; DELETE FROM idempotency_keys; DELETE FROM durations;
UPDATE counters SET value = 0
"""


@pytest.fixture(scope="session")
def made_file() -> Path:
    return empty_ledger()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with postgresql() as started:
        yield started


@pytest.fixture(scope="session")
def made_database(server: Server) -> Iterator[str]:
    with database(server) as url:
        _make(url)
        yield url


@pytest.fixture
def file(made_file: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(made_file, tmp_path))


@pytest.fixture
def sqlite_url(file: Path) -> str:
    return f"sqlite:///{file}"


@pytest.fixture
async def postgresql_url(made_database: str) -> str:
    """One database, emptied each time: to make one takes far longer than most tests do."""
    await execute(made_database, EMPTY)
    return made_database


@pytest.fixture(params=LEDGERS)
def url(request: pytest.FixtureRequest) -> str:
    """Of an empty ledger of the test's own, of each kind."""
    of_the_kind: str = request.getfixturevalue(f"{request.param}_url")
    return of_the_kind


@pytest.fixture
async def ledger(url: str) -> AsyncIterator[Ledger]:
    async with open_ledger(url) as opened:
        yield opened


def _make(url: str) -> None:
    async def make() -> None:
        async with open_ledger(url):
            pass

    asyncio.run(make())
