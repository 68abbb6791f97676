"""Runs as processes of this machine, each with a runner beside it that outlives us (`staging.runner`). No
isolation: the script is whatever this process's user may be.

A locked file tells whether a runner lives; the kernel lets go of the lock however it ends. The lock is taken
here and handed over at the fork, so there is no moment at which a run started twice would go unnoticed.
"""

import asyncio
import contextlib
import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import structlog

import gateway
from gateway.domain.job import EndReason
from gateway.domain.problems import Unavailable
from gateway.executors.leftovers import kill_leftovers
from gateway.executors.protocol import Ended, Run, View
from gateway.staging import layout
from gateway.staging.disk import disk_problems
from gateway.staging.runner.order import Order, read_exit, write_order, write_whole
from gateway.staging.runner.script import SHELL
from gateway.staging.workspace import Workspace

log = structlog.get_logger(__name__)

BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); from gateway.staging.runner.main import main; "
    "sys.exit(main(sys.argv[2], int(sys.argv[3])))"
)
POLL_S = 0.1
"""Between two looks at a runner of an earlier life: it is nobody's child now."""
GRACE_S = 5.0
"""From TERM to KILL."""
REMOVE_LIMIT_S = 30.0


class ProcessExecutor:
    def __init__(self, *, path: str, log_limit: int, grace_s: float = GRACE_S) -> None:
        """`path` is the scripts' PATH; "" for our own. `log_limit` in bytes, of the log and of standard
        output."""
        self._path = path or os.pathsep.join(os.get_exec_path())
        self._log_limit = log_limit
        self._grace_s = grace_s
        self._runners: dict[str, _Runner] = {}

    def view(self, workspace: Path) -> View:
        place = Workspace(workspace.absolute())
        scratch = str(place.scratch_dir)
        return View(
            script=str(place.script),
            input_dir=str(place.input_dir),
            output_dir=str(place.output_dir),
            variables={"PATH": self._path, "HOME": scratch, "TMPDIR": scratch, "LANG": "C.UTF-8"},
        )

    async def begun(self, run_id: str, workspace: Path) -> bool:
        return _ran(workspace) or run_id in self._runners or _alive(workspace)

    async def start(self, run: Run) -> None:
        starting = asyncio.create_task(self._start(run))
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            # A thread cannot be called back: whoever cancels has to find, and can remove, what it started.
            await asyncio.wait([starting])
            if not starting.cancelled() and (problem := starting.exception()) is not None:
                log.warning("run.not_started", run=run.id, why=str(problem))
            raise

    async def wait(self, run_id: str, workspace: Path) -> Ended:
        runner = self._runners.get(run_id)
        if runner is not None:
            await runner.end()
            self._runners.pop(run_id, None)
        while _alive(workspace):  # noqa: ASYNC110  # nobody here can be told
            await asyncio.sleep(POLL_S)
        return await asyncio.to_thread(_ended, workspace.absolute())

    async def stop(self, run_id: str, workspace: Path, *, reason: EndReason) -> None:
        if run_id in self._runners or _alive(workspace):
            with contextlib.suppress(FileNotFoundError):
                await asyncio.to_thread(write_whole, str(workspace), layout.STOP, reason.value)

    async def elsewhere(self, run_id: str) -> bool:  # noqa: ARG002  # processes are their starter's alone
        return False

    async def collect_log(self, run_id: str, workspace: Path) -> None:
        """Nothing to do: the runner writes it."""

    async def remove(self, run_id: str, workspace: Path) -> None:
        runner = self._runners.get(run_id)
        if runner is not None:
            runner.let_go()
        await self.stop(run_id, workspace, reason=EndReason.INTERRUPTED)
        try:
            async with asyncio.timeout(REMOVE_LIMIT_S):
                await self.wait(run_id, workspace)
        except TimeoutError:
            log.warning("run.left_behind", run=run_id)

    async def ready(self) -> None:
        if not os.access(SHELL, os.X_OK):
            raise Unavailable(f"{SHELL} cannot be executed")

    async def close(self) -> None:
        """Ends what is tied to us, and waits for that; the rest goes on."""
        tied = [runner for runner in self._runners.values() if runner.let_go()]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REMOVE_LIMIT_S):
                for runner in tied:
                    await runner.end()
        for runner in self._runners.values():
            runner.abandon()
        self._runners.clear()

    async def _start(self, run: Run) -> None:
        if run.id in self._runners:
            return
        with disk_problems("starting the script"):
            runner = await asyncio.to_thread(self._spawn, run)
        if runner is not None:
            self._runners[run.id] = runner
            runner.watch()

    def _spawn(self, run: Run) -> "_Runner | None":
        """None if it was started before."""
        alive = os.open(run.workspace / layout.ALIVE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not _lock(alive) or _ran(run.workspace):
                return None
            write_order(str(run.workspace), self._order(run))
            return _runner(run.workspace.absolute(), alive, tied=run.tied)
        finally:
            # The runner has its own copy of the descriptor, and with it the lock.
            os.close(alive)

    def _order(self, run: Run) -> Order:
        place = Workspace(run.workspace.absolute())
        return Order(
            script=str(place.script),
            folder=str(place.scratch_dir),
            environment=dict(run.environment),
            limit_s=run.limit_s,
            grace_s=self._grace_s,
            memory_bytes=run.memory_bytes,
            stdout_limit=self._log_limit,
            log_limit=self._log_limit,
            tied=run.tied,
        )


class _Runner:
    """A runner that is our child. Its standard output is a pipe it never writes to: the pipe's end is its
    end."""

    def __init__(self, process: "subprocess.Popen[bytes]", pipe: IO[bytes]) -> None:
        self._process = process
        self._pipe = pipe
        self._gone = asyncio.Event()

    def watch(self) -> None:
        asyncio.get_running_loop().add_reader(self._pipe, self._at_end)

    def let_go(self) -> bool:
        """Have it end if it is tied to us; returns whether it is."""
        if self._process.stdin is None:
            return False
        self._process.stdin.close()
        return True

    async def end(self) -> None:
        """Until it ended, and no trace of it is left in the process table."""
        await self._gone.wait()
        await asyncio.to_thread(self._process.wait)
        self.let_go()

    def abandon(self) -> None:
        """It goes on without us."""
        self._unwatch()
        if self._process.poll() is None:
            # Else the library warns of a child nobody waits for, which is the very point.
            self._process.returncode = 0

    def _at_end(self) -> None:
        self._unwatch()
        self._gone.set()

    def _unwatch(self) -> None:
        if not self._pipe.closed:
            asyncio.get_running_loop().remove_reader(self._pipe)
            self._pipe.close()


def _runner(workspace: Path, alive: int, *, tied: bool) -> _Runner:
    root = str(Path(gateway.__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", BOOT, root, str(workspace), str(alive)],
        stdin=subprocess.PIPE if tied else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=(alive,),
        start_new_session=True,
        cwd="/",
        env={"LANG": "C.UTF-8"},
    )
    assert process.stdout is not None  # noqa: S101  # a pipe was asked for
    return _Runner(process, process.stdout)


def _lock(alive: int, tries: int = 5) -> bool:
    """Somebody who only looks (`_alive`) holds it for a moment, a runner for long."""
    for attempt in range(tries):
        try:
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01 * (attempt > 0))
        else:
            return True
    return False


def _ran(workspace: Path) -> bool:
    return (workspace / layout.BEGAN).exists() or (workspace / layout.EXIT).exists()


def _alive(workspace: Path) -> bool:
    try:
        with (workspace / layout.ALIVE).open("rb") as alive:
            fcntl.flock(alive, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _ended(workspace: Path) -> Ended:
    found = read_exit(str(workspace))
    if found is None and not workspace.exists():
        return Ended(EndReason.INTERRUPTED, detail="nothing of it is left")
    if found is None:
        killed = kill_leftovers(str(Workspace(workspace).input_dir))
        log.warning("run.interrupted", workspace=workspace.name, killed=killed)
        return Ended(EndReason.INTERRUPTED, detail="what ran it was killed")
    return Ended(EndReason(found.reason), exit_code=found.code, detail=found.detail, took_s=found.took_s)
