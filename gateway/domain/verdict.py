"""What becomes of a job whose attempt ended: final, or another attempt, as the service's policy says."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.domain.job import PLATFORM_REASONS, Cause, Ending, EndReason, Job, JobState
from gateway.domain.policy import Policy

LONGEST_WAIT_S = 600.0
"""Between two attempts after platform failures: the platform is asked again at least every ten minutes."""

REFUSED_WAIT_S = 5.0
"""Before the platform is asked for room again; it doubles with every refusal."""

LONGEST_RETRY_S = 7 * 86400.0
"""However often it is doubled."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` is one line for people; `due_at` is given with WAITING only."""

    state: JobState
    reason: str
    due_at: datetime | None = None


def judge(job: Job, ending: Ending, *, policy: Policy, now: datetime) -> Verdict:
    """Scripts that fail use up the user's tries; what the platform does uses up its own budget."""
    if ending.succeeded:
        return Verdict(JobState.SUCCEEDED, "")
    if ending.reason is EndReason.CANCELLED or job.cancel_requested:
        return Verdict(JobState.CANCELLED, "cancelled while it ran")
    if ending.reason is EndReason.INPUT_GONE:
        return Verdict(JobState.DEAD, describe(ending))
    if ending.reason is EndReason.REFUSED:
        return _refused(job, ending, now)
    if ending.reason in PLATFORM_REASONS:
        return _platform(job, ending, policy, now)
    return _script(job, ending, policy, now)


def describe(ending: Ending) -> str:
    """One line: the kind of end, the exit code where it says something, the detail."""
    how = {
        EndReason.EXITED: f"the script ended with exit status {ending.exit_code}",
        EndReason.TIME_LIMIT: "the script was ended at its time limit",
        EndReason.MEMORY_LIMIT: "the script was ended at its memory limit",
        EndReason.OUTPUT_LIMIT: "the script left too much output",
        EndReason.CANCELLED: "cancelled",
        EndReason.INTERRUPTED: "the attempt was interrupted",
        EndReason.NOT_STARTED: "the script could not be started",
        EndReason.INPUT_GONE: "the input is gone",
        EndReason.STAGING: "input or output could not be moved",
        EndReason.ABANDONED: "it is not tried any more",
        EndReason.REFUSED: "there is no room for it now",
    }[ending.reason]
    return f"{how}: {ending.detail}" if ending.detail else how


def _script(job: Job, ending: Ending, policy: Policy, now: datetime) -> Verdict:
    """A call that is answered as a job is tried once, as it would be directly."""
    if job.cause is Cause.HELD or job.failures + 1 >= policy.tries:
        return Verdict(JobState.FAILED, describe(ending))
    wait = timedelta(seconds=min(policy.retry_s * 2.0**job.failures, LONGEST_RETRY_S))
    return Verdict(
        JobState.WAITING, f"{describe(ending)}; try {job.failures + 2} of {policy.tries} follows", now + wait
    )


def _refused(job: Job, ending: Ending, now: datetime) -> Verdict:
    """It waits for as long as it takes: with every attempt that charged no budget, longer."""
    refusals = min(max(0, job.attempts - job.failures - job.interruptions - 1), 16)
    wait = timedelta(seconds=min(REFUSED_WAIT_S * 2.0**refusals, LONGEST_WAIT_S))
    return Verdict(JobState.WAITING, f"{describe(ending)}; it is tried again", now + wait)


def _platform(job: Job, ending: Ending, policy: Policy, now: datetime) -> Verdict:
    if job.interruptions >= policy.interruptions:
        return Verdict(JobState.DEAD, f"{describe(ending)}; given up after {job.interruptions} repeats")
    wait = timedelta(seconds=min(2.0**job.interruptions - 1, LONGEST_WAIT_S))
    return Verdict(JobState.WAITING, f"{describe(ending)}; it is repeated", now + wait)
