"""The executor: runs a prepared workspace's script to its end, on this machine or in a container.

A run is started once by its id. One that is not `tied` outlives this process: after a restart `begun` knows
it, and `wait` goes on where it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gateway.domain.job import EndReason


@dataclass(frozen=True, slots=True)
class View:
    """Where the script itself sees the workspace's parts: the same paths, or those inside its container.
    `variables` are the place's own (PATH, HOME, ...), which the service's may replace."""

    script: str
    input_dir: str
    output_dir: str
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """`workspace` is a folder laid out by `staging.workspace`; `environment` is complete, nothing is
    inherited."""

    id: str
    image: str
    workspace: Path
    environment: Mapping[str, str]
    limit_s: float
    memory_bytes: int
    cpu_cores: float
    gpu: bool = False
    tied: bool = False
    """End it when this process ends: nobody else waits for a call."""


@dataclass(frozen=True, slots=True)
class Ended:
    """`exit_code` is None where there is none (never started, interrupted). `detail` is one line for
    people."""

    reason: EndReason
    exit_code: int | None = None
    detail: str = ""
    took_s: float = 0.0


class Executor(Protocol):
    def view(self, workspace: Path) -> View: ...

    async def begun(self, run_id: str, workspace: Path) -> bool:
        """Whether the script began, or may have: it runs, or it ended. False: nothing of it ran, nor will by
        itself. Raises Unavailable."""
        ...

    async def start(self, run: Run) -> None:
        """Returns once it runs, or will without us. A run that was started before under this id is left
        alone. Raises Invalid when it can never be started, Unavailable and StorageFull when not now."""
        ...

    async def wait(self, run_id: str, workspace: Path) -> Ended:
        """Until it ended; then output folder, `stdout` and `log` of the workspace are complete. At once when
        it had ended before, INTERRUPTED when it is gone without an end."""
        ...

    async def stop(self, run_id: str, workspace: Path, *, reason: EndReason) -> None:
        """TERM, then KILL after the grace period, to all its processes; `wait` tells `reason`. Fine if it
        ended."""
        ...

    async def elsewhere(self, run_id: str) -> bool:
        """Whether another process of ours has it in hand: it is that one's to end and to remove. Raises
        Unavailable."""
        ...

    async def collect_log(self, run_id: str, workspace: Path) -> None:
        """Bring the workspace's `log` up to date while it runs; any folder will do for a run that is
        elsewhere. Raises Unavailable."""
        ...

    async def remove(self, run_id: str, workspace: Path) -> None:
        """Stop it if need be, and remove all but the workspace. Fine if there is nothing."""
        ...

    async def ready(self) -> None:
        """Raises Unavailable with the reason."""
        ...

    async def close(self) -> None: ...
