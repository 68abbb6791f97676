"""The ledger on PostgreSQL in bad weather: killed, restarted, full of connections, made by many at once."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from urllib.parse import urlsplit

import asyncpg
import pytest
from structlog.testing import capture_logs

from gateway.backends.ledger.database import CONNECTIONS
from gateway.backends.ledger.protocol import IdempotencyKey, Ledger
from gateway.backends.ledger.sql import open_ledger
from gateway.domain.job import AttemptId, Cause, Ending, EndReason, JobId, JobState, NewJob, Payload
from gateway.domain.problems import Conflict, Unavailable
from tests.ledger.test_migrations import OPEN
from tests.polling import until
from tests.servers.postgresql import Server, database, execute, own_postgresql

pytestmark = [pytest.mark.services, pytest.mark.timeout(90)]

NOW = datetime(2030, 1, 1, tzinfo=UTC)
CLIENTS = 16
CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'oscar-gateway'"
PIDS = "SELECT array_agg(pid) FROM pg_stat_activity WHERE application_name = 'oscar-gateway'"


@pytest.fixture(scope="module")
def own() -> Iterator[Server]:
    """To be killed."""
    with own_postgresql() as started:
        yield started


@pytest.fixture
def empty(own: Server) -> Iterator[str]:
    """A database without a schema."""
    with database(own) as url:
        yield url


def new_job(name: str) -> NewJob:
    return NewJob(JobId(name), "grey", "u", Cause.REQUEST, "ada", payload=Payload(1, b"x"))


class Clients:
    """They accept one job after the other, whatever happens; `answered` has those they were told of."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.answered: list[JobId] = []
        self.refused: list[Unavailable] = []
        self._numbers = count()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        clients = [asyncio.create_task(self._accept()) for _ in range(CLIENTS)]
        try:
            yield
        finally:
            for client in clients:
                client.cancel()
            await asyncio.gather(*clients, return_exceptions=True)

    async def more(self, number: int = 100) -> None:
        wanted = len(self.answered) + number

        async def enough() -> bool:
            return len(self.answered) >= wanted

        await until(enough, within_s=30)

    async def _accept(self) -> None:
        while True:
            try:
                (accepted,) = await self._ledger.accept([new_job(f"grey-{next(self._numbers)}")], now=NOW)
                self.answered.append(accepted.id)
            except Unavailable as problem:
                self.refused.append(problem)
                await asyncio.sleep(0.05)


async def test_no_accepted_job_is_lost_when_the_server_is_killed_and_it_goes_on_after_it(
    own: Server, empty: str
) -> None:
    async with open_ledger(empty) as ledger:
        clients = Clients(ledger)
        async with clients.at_work():
            for _ in range(3):
                await clients.more()
                await asyncio.to_thread(own.kill)
                await asyncio.to_thread(own.start)
                back = time.monotonic()
                await clients.more(1)
                assert time.monotonic() - back < 5
        assert {problem.retry_after_s for problem in clients.refused} == {1}
    # Closed, so that what was under way when the clients went is written before it is counted.
    async with open_ledger(empty) as ledger:
        kept = await ledger.remembered(clients.answered)
        assert kept == frozenset(clients.answered)
        census = await ledger.census()
        assert sum(census.states.values()) == (await ledger.totals())["accepted"] >= len(kept)


async def test_an_orderly_restart_is_survived_by_idle_and_by_busy_connections(
    own: Server, empty: str
) -> None:
    async with open_ledger(empty) as ledger:
        await asyncio.gather(*(ledger.totals() for _ in range(CONNECTIONS)))
        await asyncio.to_thread(own.stop)
        with pytest.raises(Unavailable):
            await ledger.ready()
        await asyncio.to_thread(own.start)

        async def works() -> bool:
            try:
                await ledger.ready()
                return (await ledger.accept([new_job("grey-1")], now=NOW)) != ()
            except Unavailable:
                return False

        await until(works, within_s=5)


async def test_connections_that_were_cut_while_idle_are_not_noticed(own: Server, empty: str) -> None:
    async with open_ledger(empty) as ledger:
        await asyncio.gather(*(ledger.totals() for _ in range(CONNECTIONS)))
        await execute(own.url, CUT)
        await asyncio.sleep(1.1)  # idle for as long as makes the ledger try them first
        assert await asyncio.gather(*(ledger.totals() for _ in range(CONNECTIONS)))


async def test_of_connections_that_were_cut_in_use_one_accepted_job_at_most_learns(
    own: Server, empty: str
) -> None:
    async with open_ledger(empty) as ledger:
        await asyncio.gather(*(ledger.totals() for _ in range(CONNECTIONS)))
        await execute(own.url, CUT)

        async def gone() -> bool:
            return not await _pids(own)

        await until(gone)
        await _refused(ledger)  # unless so late that the connection is tried first
        assert await asyncio.gather(*(ledger.totals() for _ in range(CONNECTIONS)))
        assert await ledger.accept([new_job("grey-2")], now=NOW)


async def test_a_primary_that_is_none_any_more_is_left_by_who_wanted_to_accept(
    own: Server, empty: str
) -> None:
    async with open_ledger(empty) as ledger:
        await asyncio.gather(*(ledger.totals() for _ in range(CONNECTIONS)))
        before = await _pids(own)
        await execute(own.url, "ALTER SYSTEM SET default_transaction_read_only = on")
        await execute(own.url, "SELECT pg_reload_conf()")
        try:
            await until(lambda: _refused(ledger))
        finally:
            await execute(own.url, "ALTER SYSTEM RESET default_transaction_read_only")
            await execute(own.url, "SELECT pg_reload_conf()")

        async def works() -> bool:
            return not await _refused(ledger)

        await until(works)
        assert await asyncio.gather(*(ledger.totals() for _ in range(CONNECTIONS)))

        async def left() -> bool:
            return not before & await _pids(own)

        await until(left)


async def _refused(ledger: Ledger) -> bool:
    try:
        await ledger.accept([new_job(f"grey-{time.monotonic_ns()}")], now=NOW)
    except Unavailable:
        return True
    return False


async def _pids(server: Server) -> frozenset[int]:
    """Of the ledger's connections."""
    connection = await asyncpg.connect(server.url)
    pids = await connection.fetchval(PIDS)
    await connection.close()
    return frozenset(pids or ())


async def test_it_takes_no_more_connections_than_it_says(own: Server, empty: str) -> None:
    async with open_ledger(empty) as ledger:
        await asyncio.gather(*(ledger.totals() for _ in range(100)), *(ledger.ready() for _ in range(100)))
        connection = await asyncpg.connect(own.url)
        mine = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'oscar-gateway'"
        assert await connection.fetchval(mine) <= CONNECTIONS
        await connection.close()


async def test_a_server_that_has_no_connection_left_is_unavailable_until_it_has(
    own: Server, empty: str
) -> None:
    name = empty.rpartition("/")[2]
    await execute(own.url, "CREATE ROLE plain LOGIN")
    await execute(own.url, f"ALTER DATABASE {name} OWNER TO plain")
    async with open_ledger(empty.replace("tests@", "plain@")) as ledger:
        await execute(own.url, f"ALTER DATABASE {name} CONNECTION LIMIT 0")
        await execute(own.url, CUT)
        with pytest.raises(Unavailable):
            await asyncio.gather(*(ledger.totals() for _ in range(2)))
        await execute(own.url, f"ALTER DATABASE {name} CONNECTION LIMIT -1")
        await ledger.ready()


async def test_processes_that_start_at_once_make_one_schema(empty: str) -> None:
    def start() -> str:
        command = [sys.executable, "-c", OPEN, empty]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    opened = await asyncio.gather(*(asyncio.to_thread(start) for _ in range(3)))

    assert opened == ["{'accepted': 0, 'removed': 0}\n"] * 3


async def test_a_schema_of_a_newer_version_is_refused(empty: str) -> None:
    async with open_ledger(empty):
        pass
    await execute(empty, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(Conflict):
        async with open_ledger(empty):
            pytest.fail("opened")


async def test_a_server_that_is_away_at_the_start_is_used_as_soon_as_it_is_there(
    own: Server, empty: str
) -> None:
    await asyncio.to_thread(own.stop)
    async with open_ledger(empty) as ledger:
        with pytest.raises(Unavailable):
            await ledger.ready()
        with pytest.raises(Unavailable):
            await ledger.accept([new_job("grey-1")], now=NOW)
        await asyncio.to_thread(own.start)

        async def works() -> bool:
            try:
                return await ledger.totals() == {"accepted": 0, "removed": 0}
            except Unavailable:
                return False

        await until(works, within_s=5)


async def test_what_is_wrong_with_the_user_is_told_and_works_once_mended(own: Server, empty: str) -> None:
    parts = urlsplit(empty)
    url = parts._replace(netloc=f"stranger:hush@{parts.netloc.partition('@')[2]}").geturl()
    with capture_logs() as logs:
        async with open_ledger(url) as ledger:

            async def tells(words: str) -> bool:
                try:
                    await ledger.ready()
                except Unavailable as problem:
                    assert "hush" not in problem.detail
                    return words in problem.detail
                return not words

            await until(lambda: tells("refuses the user or password of DATABASE_URL"))
            await execute(own.url, "CREATE ROLE stranger LOGIN PASSWORD 'hush'")
            await until(lambda: tells("may not change the ledger's tables"))
            await execute(empty, "GRANT ALL ON SCHEMA public TO stranger")
            await until(lambda: tells(""))
    assert [line["reason"] for line in logs if line["event"] == "ledger.away"] == [
        "the ledger is not available: PostgreSQL refuses the user or password of DATABASE_URL"
    ]
    await execute(empty, "DROP OWNED BY stranger")
    await execute(own.url, "DROP ROLE stranger")


async def test_a_database_that_is_not_there_is_told(own: Server) -> None:
    async with open_ledger(own.at("nowhere")) as ledger:
        with pytest.raises(Unavailable, match="no such database as DATABASE_URL's"):
            await ledger.ready()


async def test_a_wrong_address_is_unavailable_and_not_repeated() -> None:
    async with open_ledger("postgresql://ada:secret@127.0.0.1:1/none") as ledger:
        with pytest.raises(Unavailable) as refused:
            await ledger.ready()

    assert "secret" not in refused.value.detail
    assert "127" not in refused.value.detail


async def test_gateways_and_workers_at_once_run_each_job_once_and_lose_count_of_none(
    postgresql_url: str,
) -> None:
    jobs = [JobId(f"grey-{number}") for number in range(60)]
    async with AsyncExitStack() as stack:
        ledgers = [await stack.enter_async_context(open_ledger(postgresql_url)) for _ in range(4)]

        async def submit(ledger: Ledger, job: JobId) -> JobId:
            key = IdempotencyKey("ada/grey", f"k-{job}", "f", datetime(2031, 1, 1, tzinfo=UTC))
            # Half of them are submitted by everybody under the same key, but under ids of their own.
            named = new_job(job) if job < "grey-3" else new_job(f"{job}-{ledgers.index(ledger)}")
            (accepted,) = await ledger.accept([named], now=NOW, key=key)
            return accepted.id

        told = await asyncio.gather(*(submit(ledger, job) for job in jobs for ledger in ledgers))
        assert len(set(told)) == len(jobs)
        assert (await ledgers[0].totals())["accepted"] == len(jobs)

        claims = await asyncio.gather(*(one.claim(job, now=NOW) for job in set(told) for one in ledgers))
        attempts = [attempt for attempt in claims if attempt is not None]
        assert len(attempts) == len({attempt.job for attempt in attempts}) == len(jobs)

        async def settle(ledger: Ledger, attempt: AttemptId) -> bool:
            await ledger.began(attempt, now=NOW)
            ending = Ending(attempt, EndReason.EXITED, 0)
            state = JobState.SUCCEEDED
            return await ledger.settle(ending, state=state, reason="", due_at=None, now=NOW) is not None

        settled = await asyncio.gather(*(settle(one, attempt.id) for attempt in attempts for one in ledgers))
        assert sum(settled) == len(jobs)
        removed = await asyncio.gather(*(one.remove(set(told)) for one in ledgers))
        assert sum(map(len, removed)) == len(jobs)
        assert await ledgers[0].totals() == {"accepted": len(jobs), "removed": len(jobs)}
