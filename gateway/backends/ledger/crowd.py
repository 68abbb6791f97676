"""A crowd: whoever asks while a transaction runs shares the next one, so that disk and network are waited for
once a crowd. What is asked and written is not known here."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Generic, NamedTuple, TypeVar

import structlog

from gateway.backends.ledger.database import WAIT_S, Raced
from gateway.domain.problems import Problem, StorageFull, Unavailable

TOGETHER = 256
"""Questions in one transaction: more would only make the first of them wait."""
TRIES = 3
"""Of a transaction that another process's was in the way of."""

log = structlog.get_logger()

Question = TypeVar("Question")
Answer = TypeVar("Answer")
AnswerAll = Callable[[Sequence[Question]], Awaitable[Sequence[Answer | Exception]]]


class Asked(NamedTuple, Generic[Question, Answer]):
    question: Question
    answer: asyncio.Future[Answer]


class Crowd(Generic[Question, Answer]):
    """`ask` for any number of callers, `run` for the tasks that write.

    `answer_all` is one transaction: all answers in order, of which those that are exceptions are raised to
    who asked. A caller who stops waiting takes nothing from the others, and may have been answered.
    """

    def __init__(self, answer_all: AnswerAll[Question, Answer], *, gather_s: float = 0) -> None:
        """`gather_s`: after a crowd the next one is waited for so long, that it be larger."""
        self._answer_all = answer_all
        self._gather_s = gather_s
        self._asked: list[Asked[Question, Answer]] = []
        self._news = asyncio.Event()
        self._finished = False

    async def ask(self, question: Question) -> Answer:
        """Raises Unavailable, StorageFull, and what the answer raises."""
        if self._finished:
            raise Unavailable("the ledger is closed", retry_after_s=1)
        asked = Asked[Question, Answer](question, asyncio.get_running_loop().create_future())
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
                if self._gather_s:
                    await asyncio.sleep(self._gather_s)

    def finish(self) -> None:
        self._finished = True
        self._news.set()

    async def _serve(self, crowd: Sequence[Asked[Question, Answer]]) -> None:
        answers: Sequence[Answer | Exception]
        try:
            answers = await self._write([asked.question for asked in crowd])
        except (Unavailable, StorageFull) as problem:
            answers = [problem] * len(crowd)
        except Exception as error:
            if len(crowd) > 1:
                # What cannot be written must not take its neighbours along.
                for asked in crowd:
                    await self._serve([asked])
                return
            if not isinstance(error, Problem):
                log.exception("crowd.failed")
            answers = [error] * len(crowd)
        for asked, answer in zip(crowd, answers, strict=True):
            _tell(asked.answer, answer)

    async def _write(self, questions: Sequence[Question]) -> Sequence[Answer | Exception]:
        for _ in range(TRIES - 1):
            try:
                return await self._answer_all(questions)
            except Raced:
                log.debug("crowd.raced", questions=len(questions))
        return await self._answer_all(questions)


@asynccontextmanager
async def open_crowd(
    answer_all: AnswerAll[Question, Answer], *, name: str, at_once: int = 1, gather_s: float = 0
) -> AsyncIterator[Crowd[Question, Answer]]:
    """With `at_once` transactions at a time: over a network one crowd is written while another one's turn is
    under way. Closing it answers whoever asked before."""
    crowd = Crowd(answer_all, gather_s=gather_s)
    running = [asyncio.create_task(crowd.run(), name=f"ledger.{name}") for _ in range(at_once)]
    try:
        yield crowd
    finally:
        crowd.finish()
        await asyncio.gather(*running)


def _tell(asked: asyncio.Future[Answer], answer: Answer | Exception) -> None:
    if asked.done():
        return
    if isinstance(answer, Exception):
        asked.set_exception(answer)
    else:
        asked.set_result(answer)
