"""Attempts run by this machine: each in a workspace of its own, which holds all there is to know of it until
its ending is in the ledger."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from gateway.backends.launcher.protocol import Order
from gateway.backends.launcher.record import read_ending, read_record, write_ending, write_record
from gateway.backends.launcher.stage_in import stage_in
from gateway.backends.launcher.stage_out import stage_out
from gateway.backends.launcher.store import Store
from gateway.domain.job import AttemptId, Ending, EndReason
from gateway.domain.problems import Problem, Unavailable
from gateway.executors.ordering import order_run
from gateway.executors.protocol import Executor
from gateway.staging.chunks import read_file
from gateway.staging.disk import disk_problems
from gateway.staging.workspace import GONE, Workspace, lay_out, remove

log = structlog.get_logger(__name__)

STAGED_AT_ONCE = 4
"""Endings whose outputs are moved at the same time."""
REPEAT_S = 5.0
"""An ending that was told, and not forgotten, is told again."""


@asynccontextmanager
async def open_local_launcher(
    executor: Executor, store: Store, folder: Path, *, own_bucket: str, output_limit: int
) -> AsyncIterator["LocalLauncher"]:
    """With the attempts of an earlier life. Closing it leaves what runs running."""
    with disk_problems("opening the folder of attempts"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    async with asyncio.TaskGroup() as watching:
        launcher = LocalLauncher(
            executor, store, folder, own_bucket=own_bucket, output_limit=output_limit, watching=watching
        )
        await launcher.resume()
        yield launcher
        launcher.close()


class LocalLauncher:
    def __init__(
        self,
        executor: Executor,
        store: Store,
        folder: Path,
        *,
        own_bucket: str,
        output_limit: int,
        watching: asyncio.TaskGroup,
    ) -> None:
        """`output_limit` is bytes of one attempt's output files; tasks of `watching` follow the attempts."""
        self._executor = executor
        self._store = store
        self._folder = folder
        self._own_bucket = own_bucket
        self._output_limit = output_limit
        self._watching = watching
        self._watched: dict[AttemptId, asyncio.Task[None]] = {}
        self._ended: dict[AttemptId, Ending] = {}
        self._launching: dict[AttemptId, asyncio.Lock] = {}
        self._staging = asyncio.Semaphore(STAGED_AT_ONCE)
        self._news = asyncio.Event()

    async def launch(self, order: Order) -> None:
        async with self._launching.setdefault(order.attempt, asyncio.Lock()):
            if order.attempt in await self.known():
                return
            workspace = self._workspace(order.attempt)
            if not await self._executor.begun(order.attempt, workspace.root):
                await self._start(order, workspace)
            if await self._executor.elsewhere(order.attempt):
                # Another worker was first: its ending is that one's to tell.
                await asyncio.to_thread(remove, workspace.root)
            else:
                self._watch(order.attempt)

    async def known(self) -> frozenset[AttemptId]:
        return frozenset(self._watched) | frozenset(self._ended)

    async def elsewhere(self, attempt: AttemptId) -> bool:
        return await self._executor.elsewhere(attempt)

    def hindrances(self) -> Mapping[AttemptId, str]:
        """None: what is launched here runs."""
        return {}

    async def endings(self) -> AsyncIterator[Ending]:
        while True:
            self._news.clear()
            for attempt, ending in tuple(self._ended.items()):
                if attempt in self._ended:
                    yield ending
            try:
                async with asyncio.timeout(REPEAT_S):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def stop(self, attempt: AttemptId) -> None:
        if attempt in self._watched:
            await self._executor.stop(attempt, self._workspace(attempt).root, reason=EndReason.CANCELLED)

    async def forget(self, attempt: AttemptId) -> None:
        watching = self._watched.pop(attempt, None)
        if watching is not None:
            watching.cancel()
            await asyncio.wait([watching])
        workspace = self._workspace(attempt)
        with disk_problems("removing a workspace"):
            await self._executor.remove(attempt, workspace.root)
            await asyncio.to_thread(remove, workspace.root)
        self._ended.pop(attempt, None)
        self._launching.pop(attempt, None)

    async def log(self, attempt: AttemptId) -> AsyncIterator[bytes]:
        workspace = self._workspace(attempt)
        if attempt in self._watched:
            await self._executor.collect_log(attempt, workspace.root)
        elif not workspace.root.exists() and await self.elsewhere(attempt):
            with TemporaryDirectory(prefix=f"{attempt}.", suffix=GONE, dir=self._folder) as folder:
                await self._executor.collect_log(attempt, Path(folder))
                async for chunk in read_file(Workspace(Path(folder)).log):
                    yield chunk
            return
        if workspace.log.exists():
            async for chunk in read_file(workspace.log):
                yield chunk

    async def ready(self) -> None:
        await self._executor.ready()

    async def resume(self) -> None:
        """Take up what an earlier life left: endings not forgotten, attempts that run or ran. What was only
        being prepared, or half removed, goes; whoever claimed it launches it again."""
        for folder in await asyncio.to_thread(lambda: list(self._folder.iterdir())):
            attempt = AttemptId(folder.name)
            gone = folder.name.endswith(GONE)
            ending = None if gone else await asyncio.to_thread(_kept_ending, folder)
            if ending is not None:
                self._ended[attempt] = ending
            elif not gone and await self._begun(attempt, folder):
                self._watch(attempt)
            else:
                with disk_problems("removing a workspace"):
                    await asyncio.to_thread(remove, folder)

    def close(self) -> None:
        for watching in self._watched.values():
            watching.cancel()

    async def _begun(self, attempt: AttemptId, folder: Path) -> bool:
        """An executor that is away may have it: then waiting for it will tell."""
        try:
            return await self._executor.begun(attempt, folder)
        except Unavailable:
            return True

    async def _start(self, order: Order, workspace: Workspace) -> None:
        try:
            with disk_problems("preparing the attempt"):
                await asyncio.to_thread(lay_out, workspace.root, order.deployed.service)
                await asyncio.to_thread(
                    write_record,
                    workspace.root,
                    attempt=order.attempt,
                    service_uid=order.deployed.uid,
                    service=order.deployed.service,
                )
            occasion = await stage_in(self._store, self._own_bucket, order.work, workspace)
            run = order_run(
                self._executor,
                order.deployed.service,
                workspace,
                occasion,
                run_id=order.attempt,
                limit_s=order.limit_s,
                tied=False,
            )
            await self._executor.start(run)
        except Problem:
            await asyncio.to_thread(remove, workspace.root)
            raise

    def _watch(self, attempt: AttemptId) -> None:
        self._watched[attempt] = self._watching.create_task(self._follow(attempt), name=f"attempt {attempt}")

    async def _follow(self, attempt: AttemptId) -> None:
        """To its end, and until that is kept."""
        workspace = self._workspace(attempt)
        ended = await self._executor.wait(attempt, workspace.root)
        async with self._staging:
            try:
                record = await asyncio.to_thread(read_record, workspace.root)
            except (OSError, ValueError) as error:
                log.warning("attempt.unreadable", attempt=attempt, why=str(error))
                ending = Ending(
                    attempt, EndReason.STAGING, detail="what it was about cannot be read any more"
                )
            else:
                ending = await stage_out(
                    self._store, self._own_bucket, record, workspace, ended, output_limit=self._output_limit
                )
        try:
            await asyncio.to_thread(write_ending, workspace.root, ending)
        except OSError as error:
            # Told all the same; after a restart it is staged out again.
            log.warning("ending.not_kept", attempt=attempt, why=error.strerror)
        self._ended[attempt] = ending
        self._watched.pop(attempt, None)
        self._news.set()

    def _workspace(self, attempt: AttemptId) -> Workspace:
        return Workspace(self._folder / attempt)


def _kept_ending(folder: Path) -> Ending | None:
    try:
        return read_ending(folder)
    except (OSError, ValueError) as error:
        log.warning("ending.unreadable", attempt=folder.name, why=str(error))
        return None
