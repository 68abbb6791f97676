"""Runs as containers of a local engine (Docker's API), one each, of the service's own image. Files go in and
out through the engine, never by mounts, so that the engine may be anywhere and the image's user anybody.

The engine keeps what a run is (labels), how it ended and what it printed, so a run outlives us. Our own part
is the clock: a time limit passed while no gateway is there is enforced by the next one.
"""

import asyncio
import contextlib
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from gateway.domain.job import EndReason
from gateway.domain.problems import Conflict, Invalid, NotFound, TooLarge, Unavailable
from gateway.executors.archive import OVERHEAD, pack_workspace, unpack_outputs
from gateway.executors.engine import TRANSFER_S, Engine
from gateway.executors.protocol import Ended, Run, View
from gateway.staging import layout
from gateway.staging.capture import Capture
from gateway.staging.disk import disk_problems
from gateway.staging.log import stamp
from gateway.staging.runner.order import Exit, read_exit, read_stop, write_exit, write_whole
from gateway.staging.workspace import Workspace

log = structlog.get_logger(__name__)

ROOT = layout.CONTAINER_ROOT
SHELL = (
    "exec 3>&2 2>/dev/null; trap 'kill -TERM -1' TERM; /bin/sh \"$0\" 2>&3 3>&- & script=$!; "
    "while :; do wait $script; code=$?; kill -0 $script || exit $code; done"
)
"""The container's first process: it passes TERM on, which the kernel would keep from a script in its place,
and says nothing itself."""
PIDS_LIMIT = 4096
GRACE_S = 5.0
LOOK_S = 1.0
"""Between two looks at a running container's limits."""
ENGINE_AWAY_S = 600.0
"""An engine that is away for longer has lost the run, as far as we can tell."""
FETCHED_WITHIN_S = TRANSFER_S
"""What another process left lying for longer after its end is nobody's any more."""
STARTED_WITHIN_S = 30.0
"""So is what it made, and did not start."""

HOME, TIED, LIMIT = "oscar-gateway.home", "oscar-gateway.tied", "oscar-gateway.limit-s"


class DockerExecutor:
    def __init__(
        self, engine: Engine, *, home: str, log_limit: int, output_limit: int, grace_s: float = GRACE_S
    ) -> None:
        """`home` tells our containers from another process's. Limits in bytes."""
        self._engine = engine
        self._home = home
        self._log_limit = log_limit
        self._output_limit = output_limit
        self._grace_s = grace_s
        self._preparing = asyncio.Lock()
        self._log_driver: dict[str, Any] | None = None
        self._locks: dict[str, asyncio.Lock] = {}
        """Of a run: it is started, or its log collected, by one at a time."""
        self._tied: set[str] = set()

    def view(self, workspace: Path) -> View:  # noqa: ARG002  # the same in every container
        return View(
            script=f"{ROOT}/{layout.SCRIPT}",
            input_dir=f"{ROOT}/{layout.INPUT}",
            output_dir=f"{ROOT}/{layout.OUTPUT}",
        )

    async def begun(self, run_id: str, workspace: Path) -> bool:
        if (workspace / layout.EXIT).exists():
            return True
        try:
            state = (await self._engine.inspect(_name(run_id)))["State"]
        except NotFound:
            return False
        return bool(state["Status"] != "created")

    async def start(self, run: Run) -> None:
        await self._prepare()
        async with self._lock(run.id):
            await self._start(run)
        if run.tied:
            self._tied.add(run.id)

    async def wait(self, run_id: str, workspace: Path) -> Ended:
        away_since: float | None = None
        while (found := await asyncio.to_thread(read_exit, str(workspace))) is None:
            try:
                await self._follow(run_id, workspace)
                away_since = None
            except NotFound:
                return Ended(EndReason.INTERRUPTED, detail="its container is gone")
            except Unavailable as problem:
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since > ENGINE_AWAY_S:
                    return Ended(EndReason.INTERRUPTED, detail=problem.detail)
                await asyncio.sleep(LOOK_S)
        return Ended(EndReason(found.reason), exit_code=found.code, detail=found.detail, took_s=found.took_s)

    async def stop(self, run_id: str, workspace: Path, *, reason: EndReason) -> None:
        """TERM now; `wait` sends KILL."""
        if not workspace.exists() or (workspace / layout.EXIT).exists() or (workspace / layout.STOP).exists():
            return
        await asyncio.to_thread(write_whole, str(workspace), layout.STOP, reason.value)
        await self._engine.kill(_name(run_id), "SIGTERM")

    async def elsewhere(self, run_id: str) -> bool:
        try:
            container = await self._engine.inspect(_name(run_id))
        except NotFound:
            return False
        if self._is_own(container):
            return False
        state = container["State"]
        ended = state["Status"] in ("exited", "dead")
        return not (ended and time.time() - _moment(state["FinishedAt"]) > FETCHED_WITHIN_S)

    async def collect_log(self, run_id: str, workspace: Path) -> None:
        if not (workspace / layout.EXIT).exists():
            with contextlib.suppress(NotFound):
                await self._collect(run_id, workspace, notes=[])

    async def remove(self, run_id: str, workspace: Path) -> None:  # noqa: ARG002  # nothing of ours is in it
        await self._engine.remove(_name(run_id))
        self._locks.pop(run_id, None)
        self._tied.discard(run_id)

    async def ready(self) -> None:
        await self._engine.ping()

    async def close(self) -> None:
        for run_id in self._tied:
            with contextlib.suppress(Unavailable):
                await self._engine.remove(_name(run_id))
        await self._engine.close()

    async def _prepare(self) -> None:
        """Once: what was tied to an earlier life ends, and we learn how logs are kept byte for byte."""
        async with self._preparing:
            if self._log_driver is not None:
                return
            for container in await self._engine.labelled([f"{HOME}={self._home}", f"{TIED}=yes"]):
                await self._engine.remove(container)
            known = "local" in await self._engine.log_drivers()
            # Two files, of which one may have just begun: at least the limit is always there.
            bounds = {"max-size": str(self._log_limit), "max-file": "2", "compress": "false"}
            self._log_driver = {"Type": "local", "Config": bounds} if known else {}

    def _lock(self, run_id: str) -> asyncio.Lock:
        return self._locks.setdefault(run_id, asyncio.Lock())

    async def _start(self, run: Run) -> None:
        name = _name(run.id)
        try:
            if not await self._create(name, run):
                return
            archive = run.workspace / "transfer.tar"
            with disk_problems("packing the workspace"):
                await asyncio.to_thread(pack_workspace, Workspace(run.workspace), archive, root=ROOT)
            await self._engine.put_archive(name, archive)
            archive.unlink()
            await self._engine.start(name)
        except (Invalid, NotFound) as problem:
            await self._engine.remove(name)
            raise Invalid(problem.detail) from problem

    async def _create(self, name: str, run: Run) -> bool:
        """False if it was started before. Raises NotFound, Invalid."""
        config = self._config(run)
        try:
            await self._engine.create(name, config)
        except NotFound:
            await self._engine.pull(run.image)
            await self._engine.create(name, config)
        except Conflict:
            if await self._begins(run):
                return False
            # A life of ours ended between making and starting it: what is in it may be torn.
            await self._engine.remove(name)
            await self._engine.create(name, config)
        return True

    async def _begins(self, run: Run) -> bool:
        """Whether the container whose name is taken was started, or is now: another process may be making
        it, and the engine takes the name before it shows anything."""
        until = time.monotonic() + STARTED_WITHIN_S
        while not await self.begun(run.id, run.workspace):
            with contextlib.suppress(NotFound):
                if self._is_own(await self._engine.inspect(_name(run.id))):
                    return False
            if time.monotonic() > until:
                return False
            await asyncio.sleep(LOOK_S)
        return True

    def _is_own(self, container: dict[str, Any]) -> bool:
        """Of this data folder, or of nobody we know."""
        return bool((container["Config"]["Labels"] or {}).get(HOME, self._home) == self._home)

    def _config(self, run: Run) -> dict[str, Any]:
        host: dict[str, Any] = {
            "Memory": run.memory_bytes,
            "MemorySwap": run.memory_bytes,
            "NanoCpus": int(run.cpu_cores * 1e9),
            "PidsLimit": PIDS_LIMIT,
            "SecurityOpt": ["no-new-privileges"],
        }
        if run.gpu:
            host["DeviceRequests"] = [{"Count": 1, "Capabilities": [["gpu"]]}]
        if self._log_driver:
            host["LogConfig"] = self._log_driver
        return {
            "Image": run.image,
            "Entrypoint": ["/bin/sh", "-c", SHELL, f"{ROOT}/{layout.SCRIPT}"],
            "Cmd": [],
            "Env": [f"{name}={value}" for name, value in run.environment.items()],
            "Labels": {HOME: self._home, TIED: "yes" if run.tied else "no", LIMIT: str(run.limit_s)},
            "HostConfig": host,
        }

    async def _follow(self, run_id: str, workspace: Path) -> None:
        """Look at it once; when it has ended, bring home what it left. Raises NotFound, Unavailable."""
        name = _name(run_id)
        if not await self._engine.wait(name, LOOK_S):
            return await self._hold_to_limits(run_id, workspace)
        container = await self._engine.inspect(name)
        if container["State"]["Status"] == "created":
            raise NotFound("its container was never started")
        ended = _ended(container["State"], await asyncio.to_thread(read_stop, str(workspace)))
        notes: list[str] = []
        try:
            notes = await self._fetch_outputs(name, workspace)
        except TooLarge as problem:
            ended = ended._replace(reason=EndReason.OUTPUT_LIMIT.value, detail=problem.detail)
        except NotFound:
            notes = ["the output folder itself is gone"]
        except OSError as error:
            ended = ended._replace(
                reason=EndReason.STAGING.value, detail=f"its output could not be kept: {error}"
            )
        trouble = await self._collect(run_id, workspace, notes=notes)
        if trouble:
            ended = ended._replace(
                reason=EndReason.STAGING.value, detail=f"its log could not be kept: {trouble}"
            )
        await asyncio.to_thread(write_exit, str(workspace), ended, durable=True)
        return None

    async def _hold_to_limits(self, run_id: str, workspace: Path) -> None:
        stop = workspace / layout.STOP
        if stop.exists():
            if time.time() - stop.stat().st_mtime > self._grace_s:
                await self._engine.kill(_name(run_id), "SIGKILL")
            return
        container = await self._engine.inspect(_name(run_id))
        limit_s = float(container["Config"]["Labels"][LIMIT])
        if time.time() - _moment(container["State"]["StartedAt"]) > limit_s:
            await self.stop(run_id, workspace, reason=EndReason.TIME_LIMIT)

    async def _fetch_outputs(self, name: str, workspace: Path) -> list[str]:
        """Returns what was left out. Raises TooLarge, NotFound, OSError, Unavailable."""
        archive = workspace / "transfer.tar"
        path = f"{ROOT}/{layout.OUTPUT}"
        await self._engine.get_archive(name, path, archive, limit_bytes=self._output_limit + OVERHEAD)
        skipped = await asyncio.to_thread(unpack_outputs, archive, Workspace(workspace).output_dir)
        archive.unlink()
        return skipped

    async def _collect(self, run_id: str, workspace: Path, *, notes: list[str]) -> str:
        """All it printed so far, in place of what was collected before. Returns why something is missing, or
        ""."""
        async with self._lock(run_id):
            gathered = workspace / "gathered"
            gathered.mkdir(exist_ok=True)
            capture = Capture(str(gathered), stdout_limit=self._log_limit, log_limit=self._log_limit)
            async for stream, at, text in self._engine.logs(_name(run_id)):
                capture.take(stream, text, at)
            for note in notes:
                capture.take("stderr", f"[not stored: {note}]\n".encode(), stamp(time.time_ns()))
            capture.end(stamp(time.time_ns()))
            for kept in gathered.iterdir():
                kept.replace(workspace / kept.name)
            return capture.trouble


def _name(run_id: str) -> str:
    return f"oscar-gateway.{run_id}"


def _ended(state: dict[str, Any], stopped_for: str) -> Exit:
    reason, detail = stopped_for or EndReason.EXITED.value, ""
    if state.get("OOMKilled") and not stopped_for:
        reason = EndReason.MEMORY_LIMIT.value
    elif state.get("Error"):
        detail = str(state["Error"])[:300]
    took_s = max(0.0, _moment(state["FinishedAt"]) - _moment(state["StartedAt"]))
    return Exit(reason, int(state["ExitCode"]), detail, took_s)


def _moment(text: str) -> float:
    """Seconds since 1970 of the engine's RFC 3339 with nanoseconds, which Python does not read."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction or 0}")
