"""The ledger: jobs, attempts, idempotency keys and seen objects; the truth about what was accepted.

Every method is one transaction, durable when it returns; every change of state is a compare-and-set, so two
processes that do the same thing are harmless. Times come from the caller (UTC). Any method raises Unavailable
when the database is away and StorageFull when it cannot grow. Only `job` reads the bytes a job came with:
from all other methods a Job's `notice` and its payload's `inline` are None.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.domain.job import (
    Attempt,
    AttemptId,
    Census,
    Ending,
    Job,
    JobId,
    JobQuery,
    JobState,
    NewJob,
)


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """`scope` is caller and service; `fingerprint` a digest of what was asked."""

    scope: str
    key: str
    fingerprint: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Accepted:
    id: JobId
    created: bool
    """False: the id, or the idempotency key, was there already; nothing was written."""


@dataclass(frozen=True, slots=True)
class JobPage:
    jobs: tuple[Job, ...]
    remaining: bool
    """Whether older jobs follow."""


@dataclass(frozen=True, slots=True)
class Begun:
    cancel_requested: bool
    """Whether somebody wants it to end already."""


class Ledger(Protocol):
    async def accept(
        self, jobs: Sequence[NewJob], *, now: datetime, key: IdempotencyKey | None = None
    ) -> tuple[Accepted, ...]:
        """Write all of them or none, each `queued`; one answer a job, in order.

        An id that is there, or was (jobs removed later are remembered), is not written again. With `key`,
        which goes with a single job: the same key and fingerprint answer the first id, another fingerprint
        raises KeyReused; an expired key counts as new. Raises Invalid for text that no database keeps.
        """
        ...

    async def job(self, job: JobId) -> Job:
        """All of it. Raises NotFound."""
        ...

    async def jobs(self, query: JobQuery) -> JobPage:
        """Newest first, at most `query.limit`, created from `created_from` until before `created_to`.

        The cost does not grow with how many jobs there are.
        """
        ...

    async def over(self, jobs: Collection[JobId]) -> frozenset[JobId]:
        """Those of them that need not be waited for: final, or not there. One statement, however many."""
        ...

    async def ended(self, since: datetime) -> frozenset[JobId]:
        """Jobs, not removed since, whose `finished_at` is that time or later.

        Its cost grows with them alone.
        """
        ...

    async def attempts(self, job: JobId) -> tuple[Attempt, ...]:
        """The job's attempts, first one first; empty for an unknown job."""
        ...

    async def unannounced(
        self, *, queued_before: datetime, announced_before: datetime, limit: int
    ) -> tuple[JobId, ...]:
        """Queued jobs, oldest first: never announced and queued (accepted, or due) before `queued_before`, or
        last announced before `announced_before`. One that was admitted and not announced counts at once.
        """
        ...

    async def announced(self, jobs: Iterable[JobId], *, now: datetime) -> None:
        """Note that a message about each of them is on the queue."""
        ...

    async def claim(
        self, job: JobId, *, now: datetime, live_limit: int = 0, service_limit: int = 0
    ) -> Attempt | None:
        """`queued` → `starting` with the next attempt; None in any other state (somebody was faster).

        None also while so many attempts live, in all or of its service, whichever processes claim at the same
        time; 0: no limit.
        """
        ...

    async def park(self, job: JobId, *, reason: str) -> bool:
        """`queued` → `waiting` behind a closed gate (no due time); whether it was done."""
        ...

    async def admit(self, *, limit: int, full: frozenset[str] = frozenset()) -> tuple[JobId, ...]:
        """Move up to `limit` jobs from behind the gate to `queued`, none of the services in `full`.

        Fairly: the service with the fewest live attempts first, those just admitted counted as live; the
        oldest job of each first. Answers the moved ones in that order.
        """
        ...

    async def due(self, *, now: datetime, limit: int) -> tuple[JobId, ...]:
        """Move jobs whose retry time has come to `queued`; answers them, earliest due first."""
        ...

    async def began(self, attempt: AttemptId, *, now: datetime) -> Begun | None:
        """`starting` → `running`, if this is the job's current attempt; else None.

        The job's `started_at` is its current, or last, attempt's.
        """
        ...

    async def hold(self, attempt: AttemptId, *, now: datetime) -> None:
        """Whoever claimed it, or took it over, is still there and launches it."""
        ...

    async def take_over(self, attempt: AttemptId, *, held_before: datetime, now: datetime) -> int | None:
        """Hold an attempt that is `starting` in the place of a worker that claimed, took over or held it last
        at `held_before` or earlier; how often that was done. None: nothing of the kind (somebody was faster).
        """
        ...

    async def explain(self, attempt: AttemptId, reason: str) -> bool:
        """Note why it does not go on, "" if it does, as the reason of its job, while that is live; whether it
        was done."""
        ...

    async def settle(
        self, ending: Ending, *, state: JobState, reason: str, due_at: datetime | None, now: datetime
    ) -> Job | None:
        """Close the attempt and move its job from `starting` or `running` to `state`.

        That is a final one, or `waiting` with `due_at`. A script's own failure (its exit, time or memory
        limit) adds to the job's `failures`, a reason of PLATFORM_REASONS to its `interruptions`. None, and
        nothing written, unless it is the job's current, live attempt: settling twice settles once.
        """
        ...

    async def cancel(self, job: JobId, *, reason: str, now: datetime) -> Job:
        """`queued` and `waiting` → `cancelled`; live ones get `cancel_requested`; final ones stay. Answers
        the job after it. Raises NotFound.
        """
        ...

    async def live(self) -> tuple[Job, ...]:
        """Every `starting` and `running` job."""
        ...

    async def live_counts(self) -> Mapping[str, int]:
        """How many live jobs each service has, those without any left out. Costs what the live ones cost."""
        ...

    async def census(self) -> Census:
        """Every state and its jobs, counted one by one: for metrics, not for each job (see `live_counts`)."""
        ...

    async def remove(self, jobs: Iterable[JobId]) -> tuple[Job, ...]:
        """Forget these jobs and their attempts, final ones only, but remember that their ids were accepted.

        Answers what was removed, so that what was kept of it can be deleted too.
        """
        ...

    async def finished(
        self,
        *,
        before: datetime | None = None,
        service_uid: str | None = None,
        states: frozenset[JobState],
        limit: int,
    ) -> tuple[JobId, ...]:
        """Jobs in one of these final states, finished before that time, oldest first."""
        ...

    async def remembered(self, jobs: Iterable[JobId]) -> frozenset[JobId]:
        """Those of the ids that were ever accepted (also removed ones)."""
        ...

    async def remember(self, jobs: Iterable[JobId], *, service_uid: str, now: datetime) -> None:
        """Treat these ids as accepted, without a job: for objects that must not trigger (own output)."""
        ...

    async def durations(self) -> Mapping[str, Sequence[float]]:
        """What `keep_durations` kept, by name."""
        ...

    async def keep_durations(self, weights: Mapping[str, Sequence[float]]) -> None:
        """Keep these, each in the place of an older one of its name; whose name begins with a service's uid
        goes with `forget_service`."""
        ...

    async def forget_service(self, service_uid: str) -> None:
        """Forget everything remembered for a service that is gone. Its jobs must have been removed before."""
        ...

    async def services(self) -> frozenset[tuple[str, str]]:
        """Name and uid of every service with jobs."""
        ...

    async def forget_keys(self, *, now: datetime) -> int:
        """Drop expired idempotency keys; how many."""
        ...

    async def forget_announcements(self) -> None:
        """Treat every queued job as unannounced: for a queue that starts empty."""
        ...

    async def ready(self) -> None:
        """Raises Unavailable or StorageFull with the reason when it cannot be written to."""
        ...

    async def totals(self) -> Mapping[str, int]:
        """Counters since the ledger was made: `accepted`, `removed`. accepted = removed + the census's
        states.
        """
        ...
