"""The launcher: starts attempts, each once, and tells how they ended, also those of an earlier life of this
process."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.deployed import Deployed
from gateway.domain.job import AttemptId, Ending, Job
from gateway.domain.work_order import Work


@dataclass(frozen=True, slots=True)
class Order:
    """One attempt to start: the job as claimed, the service as it is now, how long the script may take."""

    job: Job
    deployed: Deployed
    limit_s: float

    @property
    def attempt(self) -> AttemptId:
        return self.job.attempt_id

    @property
    def work(self) -> Work:
        job = self.job
        by_script = self.deployed.service.file_stage_in
        return Work(job.id, job.payload, job.stored, job.notice, file_stage_in=by_script)


class Launcher(Protocol):
    async def launch(self, order: Order) -> None:
        """Start the attempt, input fetched and all. Idempotent by attempt id, across restarts: an attempt
        that runs, or ran, is not started again. Raises Unavailable (may be tried again with the same id),
        NotFound when the job's input is gone, Invalid when it can never be started."""
        ...

    async def known(self) -> frozenset[AttemptId]:
        """Attempts there is anything of: running, or ended and not yet forgotten."""
        ...

    async def elsewhere(self, attempt: AttemptId) -> bool:
        """Whether one that is not known here is in another worker's hands, which tells how it ended. Raises
        Unavailable."""
        ...

    def hindrances(self) -> Mapping[AttemptId, str]:
        """What keeps launched attempts from running, in one line each for people; "" where nothing does.
        Those that this process does not see are left out."""
        ...

    def endings(self) -> AsyncIterator[Ending]:
        """Each ended attempt, with outputs stored and log and result kept; again and again, until it is
        forgotten. One reader at a time; the first step tells of those that ended while nobody listened."""
        ...

    async def stop(self, attempt: AttemptId) -> None:
        """Have it end with reason CANCELLED; its ending comes through `endings`. Fine if it is unknown or
        ended."""
        ...

    async def forget(self, attempt: AttemptId) -> None:
        """Its ending is in the ledger: remove what is left of it."""
        ...

    def log(self, attempt: AttemptId) -> AsyncIterator[bytes]:
        """What it wrote so far, in the archive's form (`staging.log`); nothing if unknown."""
        ...

    async def ready(self) -> None:
        """Raises Unavailable with the reason."""
        ...
