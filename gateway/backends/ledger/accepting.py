"""Accepting jobs in crowds: whoever asks while a transaction runs shares the next one.

So the disk is waited for once a crowd. Only new jobs come in crowds; everything else the ledger does is a
transaction of its own.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import structlog

from gateway.backends.ledger.acceptance import Answer, Request, accept_all, accept_keyless
from gateway.backends.ledger.database import WAIT_S, Database, Raced
from gateway.backends.ledger.protocol import Accepted, IdempotencyKey
from gateway.domain.job import NewJob
from gateway.domain.problems import Problem, StorageFull, Unavailable

TOGETHER = 256
"""Requests in one transaction: more would only make the first of them wait."""
TRIES = 3
"""Of a transaction that another process's was in the way of."""

log = structlog.get_logger()


class Asked(NamedTuple):
    request: Request
    answer: asyncio.Future[tuple[Accepted, ...]]


class Acceptor:
    """`accept` for any number of callers, `run` for the tasks that write.

    A caller who stops waiting takes nothing from the others.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asked: list[Asked] = []
        self._news = asyncio.Event()
        self._finished = False

    async def accept(
        self, jobs: Sequence[NewJob], *, now: datetime, key: IdempotencyKey | None
    ) -> tuple[Accepted, ...]:
        """Raises KeyReused, Unavailable, StorageFull, and Invalid for text no database keeps."""
        if self._finished:
            raise Unavailable("the ledger is closed", retry_after_s=1)
        asked = Asked(Request(tuple(jobs), now, key), asyncio.get_running_loop().create_future())
        self._asked.append(asked)
        self._news.set()
        try:
            async with asyncio.timeout(2 * WAIT_S):
                return await asked.answer
        except TimeoutError as error:
            raise Unavailable("the ledger is busy", retry_after_s=1) from error

    async def run(self) -> None:
        """Until `finish`; whoever asked before that is still answered."""
        while self._asked or not self._finished:
            await self._news.wait()
            if not self._finished:
                self._news.clear()
            while self._asked:
                crowd, self._asked = self._asked[:TOGETHER], self._asked[TOGETHER:]
                await self._serve([asked for asked in crowd if not asked.answer.done()])

    def finish(self) -> None:
        self._finished = True
        self._news.set()

    async def _serve(self, crowd: Sequence[Asked]) -> None:
        answers: Sequence[Answer | Exception]
        try:
            answers = await self._write([asked.request for asked in crowd])
        except (Unavailable, StorageFull) as problem:
            answers = [problem] * len(crowd)
        except Exception as error:
            if len(crowd) > 1:
                # What cannot be written must not take its neighbours along.
                for asked in crowd:
                    await self._serve([asked])
                return
            if not isinstance(error, Problem):
                log.exception("accept.failed")
            answers = [error] * len(crowd)
        for asked, answer in zip(crowd, answers, strict=True):
            _tell(asked.answer, answer)

    async def _write(self, requests: Sequence[Request]) -> list[Answer]:
        for _ in range(TRIES - 1):
            try:
                return await self._transaction(requests)
            except Raced:
                log.debug("accept.raced", requests=len(requests))
        return await self._transaction(requests)

    async def _transaction(self, requests: Sequence[Request]) -> list[Answer]:
        if self._database.remote and not any(request.key for request in requests):
            async with self._database.writing_at_once() as connection:
                return await accept_keyless(connection, requests)
        async with self._database.writing() as connection:
            return await accept_all(connection, requests)


def _tell(asked: asyncio.Future[tuple[Accepted, ...]], answer: Answer | Exception) -> None:
    if asked.done():
        return
    if isinstance(answer, Exception):
        asked.set_exception(answer)
    else:
        asked.set_result(answer)
