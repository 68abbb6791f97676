"""Calls answered by this machine: each in a workspace of its own, run by an executor, gone when it is
answered."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import structlog

from gateway.backends.invoker.call_log import CallLog
from gateway.backends.invoker.protocol import Call, DeploymentStatus, InstanceLog, Reply, Spent, Standing
from gateway.backends.invoker.replies import answer_headers, failed
from gateway.domain.body import pieces_of
from gateway.domain.deployed import Deployed
from gateway.domain.job import AttemptId, Ending, EndReason, ResultKind
from gateway.domain.problems import Invalid, TimedOut, TooLarge, Unavailable
from gateway.domain.verdict import describe
from gateway.executors.ordering import order_run
from gateway.executors.protocol import Ended, Executor, Run
from gateway.staging.answer import Answer, find_answer, read_answer
from gateway.staging.chunks import read_file, write_file
from gateway.staging.disk import disk_problems
from gateway.staging.environment import Occasion
from gateway.staging.outputs import find_outputs
from gateway.staging.payload import stage_body
from gateway.staging.workspace import Workspace, lay_out, remove

log = structlog.get_logger(__name__)

LIVE = "live"
"""The folder of workspaces, beside the call logs."""


@asynccontextmanager
async def open_local_invoker(
    executor: Executor,
    folder: Path,
    *,
    live_limit: int,
    waiting_limit: int,
    output_limit: int,
    beside: Sequence[Path] = (),
) -> AsyncIterator["LocalInvoker"]:
    """What an earlier life left in the folder is ended and removed first. `beside` are the folders of other
    processes, for what calls said there."""
    with disk_problems("opening the folder of calls"):
        (folder / LIVE).mkdir(parents=True, exist_ok=True, mode=0o700)
    invoker = LocalInvoker(
        executor,
        CallLog(folder, others=beside),
        folder,
        live_limit=live_limit,
        waiting_limit=waiting_limit,
        output_limit=output_limit,
    )
    await invoker.clear()
    yield invoker


class LocalInvoker:
    def __init__(
        self,
        executor: Executor,
        log: CallLog,
        folder: Path,
        *,
        live_limit: int,
        waiting_limit: int,
        output_limit: int,
    ) -> None:
        """Limits: scripts that run at once, calls beyond those that may be here, bytes of one call's output
        files."""
        self._executor = executor
        self._folder = folder
        self._log = log
        self._places = asyncio.Semaphore(live_limit)
        self._share = _most_of(live_limit)
        self._shares: dict[str, asyncio.Semaphore] = {}
        self._limit = live_limit + waiting_limit
        self._output_limit = output_limit
        self._here: Counter[str] = Counter()

    async def prepare(self, deployed: Deployed) -> None:
        """Nothing: a script needs no preparing, and an image is fetched by the first call."""

    async def retire(self, name: str) -> None:
        with disk_problems("removing the log of calls"):
            await asyncio.to_thread(self._log.remove, name)

    @asynccontextmanager
    async def invoke(self, call: Call) -> AsyncIterator[Reply]:
        workspace = Workspace(self._folder / LIVE / call.id)
        with self._counted(call.deployed.service.name):
            try:
                yield await self._reply(call, workspace)
            finally:
                await self._discard(call, workspace)

    def begin(self, call: Call, told: Callable[[], None]) -> None:
        """Never: every call waits for a workspace and a place."""

    def standing(self, name: str) -> Standing:  # noqa: ARG002 - every script is started anew, and soon
        return Standing.WARM

    async def status(self, deployed: Deployed) -> DeploymentStatus:
        try:
            await self.ready()
        except Unavailable as problem:
            return DeploymentStatus("failed", reason=problem.detail)
        return DeploymentStatus("ready", active_instances=self._here[deployed.service.name])

    async def log(self, deployed: Deployed, *, tail: int) -> InstanceLog:
        with disk_problems("reading the log of calls"):
            lines = await asyncio.to_thread(self._log.tail, deployed.service.name, tail)
        if not lines:
            return InstanceLog(available=False, message="no call wrote to stderr yet")
        return InstanceLog(available=True, lines=lines)

    async def ready(self) -> None:
        await self._executor.ready()

    async def clear(self) -> None:
        """End and remove what an earlier life left behind."""
        for workspace in await asyncio.to_thread(lambda: list((self._folder / LIVE).iterdir())):
            await self._remove(workspace.name, workspace)

    @contextmanager
    def _counted(self, service: str) -> Iterator[None]:
        if self._here.total() >= self._limit or self._here[service] >= _most_of(self._limit):
            raise Unavailable("too many calls at the moment; nothing was executed", retry_after_s=1)
        self._here[service] += 1
        try:
            yield
        finally:
            self._here[service] -= 1
            if not self._here[service]:
                del self._here[service]
                self._shares.pop(service, None)

    async def _reply(self, call: Call, workspace: Workspace) -> Reply:
        began = perf_counter()
        with disk_problems("preparing the call"):
            await asyncio.to_thread(lay_out, workspace.root, call.deployed.service)
        # Before a place is taken: a slow client holds none.
        await write_file(workspace.body, pieces_of(call.body))
        with disk_problems("decoding the body"):
            name = await asyncio.to_thread(stage_body, workspace)
        queue_s, ended = await self._run(call, workspace, input_file=name)
        start_s = max(0.0, perf_counter() - began - queue_s - ended.took_s)
        reply = await self._replying(call, workspace, ended)
        return replace(reply, spent=Spent(queue_s, start_s, ended.took_s))

    async def _replying(self, call: Call, workspace: Workspace, ended: Ended) -> Reply:
        if ended.reason is EndReason.TIME_LIMIT:
            raise TimedOut(f"the script was ended after {call.limit_s:g} s, which is the limit of a call")
        if ended.reason is EndReason.NOT_STARTED:
            raise Unavailable(_told(ended))
        if ended.reason is not EndReason.EXITED:
            return failed(_told(ended))
        if ended.exit_code != 0:
            return await _script_failed(ended, workspace)
        return await self._answer(workspace, raw=call.raw)

    async def _run(self, call: Call, workspace: Workspace, *, input_file: str) -> tuple[float, Ended]:
        """How long it waited for a place, and how it ended. Raises Unavailable when no place became free in
        the call's time; then nothing was executed."""
        run = order_run(
            self._executor,
            call.deployed.service,
            workspace,
            Occasion(input_file),
            run_id=call.id,
            limit_s=call.limit_s,
            tied=True,
        )
        began = perf_counter()
        async with self._place(call):
            return perf_counter() - began, await self._execute(call, run, workspace)

    @asynccontextmanager
    async def _place(self, call: Call) -> AsyncIterator[None]:
        """One of its service's share, and one of all; in that order, so that who waits for the first does not
        sit on the second."""
        share = self._shares.setdefault(call.deployed.service.name, asyncio.Semaphore(self._share))
        try:
            async with asyncio.timeout(call.limit_s), AsyncExitStack() as taken:
                await taken.enter_async_context(share)
                await taken.enter_async_context(self._places)
                places = taken.pop_all()
        except TimeoutError:
            raise Unavailable("no free place for this call; nothing was executed", retry_after_s=5) from None
        async with places:
            yield

    async def _execute(self, call: Call, run: Run, workspace: Workspace) -> Ended:
        try:
            await self._executor.start(run)
            return await self._executor.wait(call.id, workspace.root)
        except Invalid as problem:
            raise Unavailable(f"the script could not be started: {problem.detail}") from problem
        except asyncio.CancelledError:
            # The place is free when the script is gone, not when its caller is.
            await self._executor.remove(call.id, workspace.root)
            raise

    async def _answer(self, workspace: Workspace, *, raw: bool) -> Reply:
        try:
            with disk_problems("reading the output"):
                answer = await asyncio.to_thread(_find_answer, workspace, self._output_limit)
        except TooLarge as problem:
            return failed(problem.detail)
        if answer.kind is ResultKind.TEXT and workspace.stdout_cut:
            return failed(
                f"the script printed more than {answer.size_bytes} bytes, which is the limit (LOG_LIMIT)"
            )
        headers = answer_headers(answer.kind, answer.sent_bytes(raw=raw), raw=raw)
        return Reply(200, headers, read_answer(answer, raw=raw))

    async def _discard(self, call: Call, workspace: Workspace) -> None:
        """Whatever became of the call."""
        if workspace.log.exists():
            try:
                await asyncio.to_thread(self._log.add, call.deployed.service.name, workspace.log)
            except OSError as error:
                log.warning("call_log.failed", why=error.strerror)
        await self._remove(call.id, workspace.root)

    async def _remove(self, run_id: str, workspace: Path) -> None:
        try:
            await self._executor.remove(run_id, workspace)
            await asyncio.to_thread(remove, workspace)
        except (Unavailable, OSError) as error:
            # The next start removes it.
            log.warning("workspace.left_behind", run=run_id, why=str(error))


def _most_of(places: int) -> int:
    """What one service may have of them: a slow one leaves a quarter to the others."""
    return places - places // 4


def _find_answer(workspace: Workspace, output_limit: int) -> Answer:
    return find_answer(workspace, find_outputs(workspace.output_dir, limit_bytes=output_limit))


async def _script_failed(ended: Ended, workspace: Workspace) -> Reply:
    """What it printed, as OSCAR has it; or how it ended, where it printed nothing."""
    size = workspace.stdout.stat().st_size
    if not size:
        return failed(_told(ended))
    return Reply(500, answer_headers(ResultKind.TEXT, size), read_file(workspace.stdout))


def _told(ended: Ended) -> str:
    """In the words that jobs have for it."""
    return describe(Ending(AttemptId(""), ended.reason, ended.exit_code, ended.detail))
