"""The schema as the migrations make it is the schema the statements are written for."""

import asyncio
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, pool

from gateway.backends.ledger import migrations
from gateway.backends.ledger.sql import open_ledger
from gateway.backends.ledger.tables import metadata
from gateway.domain.problems import Conflict, Invalid, Unavailable

OPEN = """
import asyncio, sys
from gateway.backends.ledger.sql import open_ledger

async def main():
    async with open_ledger(sys.argv[1]) as ledger:
        print(await ledger.totals())

asyncio.run(main())
"""


def test_the_migrations_make_the_tables_of_the_code(made_file: Path) -> None:
    engine = create_engine(f"sqlite:///{made_file}", poolclass=pool.NullPool)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "os")

    assert ScriptDirectory.from_config(config).get_current_head() == migrations.HEAD


async def test_processes_that_start_at_once_make_one_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new' / 'ledger.db'}"

    def start() -> str:
        return subprocess.run(
            [sys.executable, "-c", OPEN, url], check=True, capture_output=True, text=True, timeout=20
        ).stdout

    opened = await asyncio.gather(*(asyncio.to_thread(start) for _ in range(2)))

    assert opened == ["{'accepted': 0, 'removed': 0}\n"] * 2


async def test_a_database_of_a_newer_version_is_refused_and_left_alone(file: Path) -> None:
    _execute(file, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(Conflict):
        async with open_ledger(f"sqlite:///{file}"):
            pytest.fail("opened")

    assert _execute(file, "SELECT version_num FROM alembic_version") == [("9999",)]


async def test_a_file_that_is_no_database_is_unavailable_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    file.write_bytes(b"somebody's notes" * 100)

    with pytest.raises(Unavailable):
        async with open_ledger(f"sqlite:///{file}"):
            pytest.fail("opened")

    assert file.read_bytes() == b"somebody's notes" * 100


async def test_the_files_are_for_their_owner_only(tmp_path: Path) -> None:
    async with open_ledger(f"sqlite+aiosqlite:///{tmp_path / 'own' / 'ledger.db'}") as ledger:
        await ledger.ready()
        files = sorted((tmp_path / "own").iterdir())
        modes = {stat.S_IMODE(file.stat().st_mode) for file in files}

    assert [file.name for file in files] == ["ledger.db", "ledger.db-shm", "ledger.db-wal"]
    assert modes == {0o600}


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://u:secret@h/d", "sqlite://", "sqlite:///:memory:"])
async def test_a_url_of_another_kind_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        async with open_ledger(url):
            pytest.fail("opened")

    assert refused.value.field == "DATABASE_URL"
    assert "secret" not in refused.value.detail


def _execute(file: Path, statement: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(file)
    try:
        with connection:
            return connection.execute(statement).fetchall()
    finally:
        connection.close()
