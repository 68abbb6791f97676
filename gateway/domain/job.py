"""A job: one accepted asynchronous unit, its attempts and its end."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

from gateway.domain.event import StoredObject

JobId = NewType("JobId", str)
"""`<service>-` and 20 characters of `[a-z0-9]`: at most 60, so that `-<attempt>` still fits a Kubernetes
name."""

AttemptId = NewType("AttemptId", str)
"""`<job id>-<number>`, the first attempt being 1. Names what runs: a process's folder, a container, a
Kubernetes Job."""


class JobState(StrEnum):
    QUEUED = "queued"
    """Accepted; waits for a worker to take it."""
    WAITING = "waiting"
    """Held back with a reason: a retry at `due_at`, or a closed gate (`due_at` is None)."""
    STARTING = "starting"
    """An attempt is claimed and being launched."""
    RUNNING = "running"
    """The attempt's script runs."""
    SUCCEEDED = "succeeded"
    """The script ended with status 0 and its outputs are stored. Final."""
    FAILED = "failed"
    """The script failed, and its tries are used up. Final."""
    DEAD = "dead"
    """Set aside: the platform could not run it within its own budget, or it cannot be run at all. Final."""
    CANCELLED = "cancelled"
    """Ended because somebody asked for it. Final."""


FINAL_STATES = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.DEAD, JobState.CANCELLED})
LIVE_STATES = frozenset({JobState.STARTING, JobState.RUNNING})


class Cause(StrEnum):
    REQUEST = "request"
    """`POST /job/{service}`."""
    EVENT = "event"
    """An object was created in an input bucket; a notice told us."""
    BACKFILL = "backfill"
    """The same, found by listing the bucket."""
    HELD = "held"
    """A call that is answered as a job."""


@dataclass(frozen=True, slots=True)
class Payload:
    """A request's body, byte for byte: inline when small, else the key of an object in the gateway's own
    bucket."""

    size_bytes: int
    inline: bytes | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class NewJob:
    """What is handed to the ledger. Exactly one of `payload` and `stored` says what the script works on."""

    id: JobId
    service: str
    service_uid: str
    cause: Cause
    owner: str
    payload: Payload | None = None
    stored: StoredObject | None = None
    notice: bytes | None = None
    """The event as it arrived (JSON), for the script's EVENT variable. At most `EVENT_LIMIT_BYTES`."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """One output file in a bucket."""

    bucket: str
    key: str
    size_bytes: int
    etag: str


class ResultKind(StrEnum):
    FILE = "file"
    """One output file, as it is. OSCAR's answer is its Base64."""
    ZIP = "zip"
    """Several output files, zipped with relative names. OSCAR's answer is its Base64."""
    TEXT = "text"
    """No output file: the script's standard output. OSCAR's answer is this text."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of an ended attempt in the gateway's own bucket: keys, or None where there is nothing."""

    result_key: str | None = None
    result_kind: ResultKind | None = None
    result_name: str | None = None
    log_key: str | None = None
    delivered: tuple[Delivered, ...] = ()


class EndReason(StrEnum):
    """Why an attempt ended, told apart so that people can act and the right budget is charged."""

    EXITED = "exited"
    """The script ended by itself; its exit code says how."""
    TIME_LIMIT = "time-limit"
    """Ended by us: it ran longer than the job limit."""
    MEMORY_LIMIT = "memory-limit"
    """Ended because it used more memory than the service has."""
    OUTPUT_LIMIT = "output-limit"
    """It ended by itself, and left more output than is kept."""
    CANCELLED = "cancelled"
    """Ended by us because somebody cancelled the job."""
    INTERRUPTED = "interrupted"
    """The machine or process it ran on went away. The platform's budget pays."""
    NOT_STARTED = "not-started"
    """The script could not be started (no image, no command). The platform's budget pays."""
    INPUT_GONE = "input-gone"
    """The object it should work on no longer exists: no further attempt can help."""
    STAGING = "staging"
    """Its input could not be fetched or its outputs could not be stored. The platform's budget pays."""
    ABANDONED = "abandoned"
    """Whoever was to launch it ended, again and again: it is not tried any more."""
    REFUSED = "refused"
    """The platform had no room for it, or could not be asked: nothing of it ran, and nobody's budget pays."""


PLATFORM_REASONS = frozenset({EndReason.INTERRUPTED, EndReason.NOT_STARTED, EndReason.STAGING})


@dataclass(frozen=True, slots=True)
class Ending:
    """How one attempt ended. `detail` is one line for people."""

    attempt: AttemptId
    reason: EndReason
    exit_code: int | None = None
    detail: str = ""
    kept: Kept = Kept()

    @property
    def succeeded(self) -> bool:
        return self.reason is EndReason.EXITED and self.exit_code == 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One execution of a job."""

    id: AttemptId
    job: JobId
    number: int
    claimed_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    reason: EndReason | None = None
    exit_code: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """One row of the ledger. Times are UTC; `reason` is one line that says why it is in its state."""

    id: JobId
    service: str
    service_uid: str
    cause: Cause
    owner: str
    state: JobState
    reason: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    due_at: datetime | None
    attempts: int
    """How many attempts were claimed; the current one's number."""
    failures: int
    """How many attempts the script itself failed."""
    interruptions: int
    """How many attempts ended for a reason of `PLATFORM_REASONS`."""
    cancel_requested: bool
    exit_code: int | None
    payload: Payload | None
    stored: StoredObject | None
    notice: bytes | None
    kept: Kept

    @property
    def final(self) -> bool:
        return self.state in FINAL_STATES

    @property
    def attempt_id(self) -> AttemptId:
        """The current attempt's id; meaningful once `attempts` is at least 1."""
        return attempt_id(self.id, self.attempts)


def attempt_id(job: JobId, number: int) -> AttemptId:
    return AttemptId(f"{job}-{number}")


def result_key(attempt: AttemptId) -> str:
    """Where an attempt's result is kept in the gateway's own bucket."""
    return f"results/{attempt}"


def log_key(attempt: AttemptId) -> str:
    """Where an attempt's log is kept in the gateway's own bucket."""
    return f"logs/{attempt}"


def report_key(attempt: AttemptId) -> str:
    """Where what a pod reports of its attempt stands in the gateway's own bucket until it is settled."""
    return f"reports/{attempt}"


def job_of(attempt: AttemptId) -> tuple[JobId, int]:
    """Job and number of an attempt's id. Raises ValueError for anything else."""
    job, _, number = attempt.rpartition("-")
    return JobId(job), int(number)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the order (created_at, id), newest first: stable while jobs come and go."""

    created_at: datetime
    id: JobId


@dataclass(frozen=True, slots=True)
class JobQuery:
    """Which jobs to list, newest first. `after` is the cursor of the last job already seen."""

    service: str | None = None
    states: frozenset[JobState] = frozenset()
    cause: Cause | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    after: Cursor | None = None
    limit: int = 70


@dataclass(frozen=True, slots=True)
class Census:
    """How many jobs there are: in every state, and live ones per service."""

    states: Mapping[JobState, int]
    live: Mapping[str, int]
