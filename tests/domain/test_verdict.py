"""What becomes of a job whose attempt ended."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.domain.job import AttemptId, Ending, EndReason, JobState
from gateway.domain.policy import Policy
from gateway.domain.verdict import LONGEST_WAIT_S, describe, judge
from tests.domain.definitions import JOB

NOW = datetime(2026, 11, 23, tzinfo=UTC)
THREE_TRIES = Policy(tries=3, retry_s=10, interruptions=2)


def ending(reason: EndReason, exit_code: int | None = None) -> Ending:
    return Ending(AttemptId("cowsay-x-1"), reason, exit_code=exit_code)


def test_status_0_is_success_even_if_cancelling_came_too_late() -> None:
    job = replace(JOB, cancel_requested=True)
    assert judge(job, ending(EndReason.EXITED, 0), policy=Policy(), now=NOW).state is JobState.SUCCEEDED


def test_another_status_is_final_once_the_tries_are_used_up() -> None:
    verdict = judge(replace(JOB, failures=2), ending(EndReason.EXITED, 3), policy=THREE_TRIES, now=NOW)
    assert verdict.state is JobState.FAILED
    assert "exit status 3" in verdict.reason
    assert verdict.due_at is None


@pytest.mark.parametrize(("failures", "wait_s"), [(0, 10), (1, 20)])
def test_before_that_it_is_tried_again_after_a_doubling_wait(failures: int, wait_s: int) -> None:
    job = replace(JOB, failures=failures)
    verdict = judge(job, ending(EndReason.TIME_LIMIT), policy=THREE_TRIES, now=NOW)
    assert verdict.state is JobState.WAITING
    assert verdict.due_at == NOW + timedelta(seconds=wait_s)
    assert f"try {failures + 2} of 3" in verdict.reason


@pytest.mark.parametrize("reason", [EndReason.INTERRUPTED, EndReason.NOT_STARTED, EndReason.STAGING])
def test_what_the_platform_does_uses_up_its_own_budget_only(reason: EndReason) -> None:
    spent = replace(JOB, failures=2, interruptions=1)
    verdict = judge(spent, ending(reason), policy=THREE_TRIES, now=NOW)
    assert verdict.state is JobState.WAITING
    assert verdict.due_at == NOW + timedelta(seconds=1)
    assert (
        judge(replace(spent, interruptions=2), ending(reason), policy=THREE_TRIES, now=NOW).state
        is JobState.DEAD
    )


def test_the_platform_is_asked_again_at_least_every_ten_minutes() -> None:
    verdict = judge(
        replace(JOB, interruptions=90), ending(EndReason.STAGING), policy=Policy(interruptions=100), now=NOW
    )
    assert verdict.due_at == NOW + timedelta(seconds=LONGEST_WAIT_S)


def test_what_found_no_room_waits_longer_each_time_and_costs_no_budget() -> None:
    refused = ending(EndReason.REFUSED)
    for attempts, wait_s in ((1, 5), (2, 10), (4, 40), (50, LONGEST_WAIT_S)):
        verdict = judge(replace(JOB, attempts=attempts), refused, policy=Policy(interruptions=0), now=NOW)
        assert (verdict.state, verdict.due_at) == (JobState.WAITING, NOW + timedelta(seconds=wait_s))


def test_a_job_whose_input_is_gone_is_dead_at_once() -> None:
    assert judge(JOB, ending(EndReason.INPUT_GONE), policy=THREE_TRIES, now=NOW).state is JobState.DEAD


@pytest.mark.parametrize("reason", [EndReason.EXITED, EndReason.INTERRUPTED, EndReason.INPUT_GONE])
def test_a_job_somebody_cancelled_is_not_repeated(reason: EndReason) -> None:
    job = replace(JOB, cancel_requested=True)
    assert judge(job, ending(reason, 1), policy=THREE_TRIES, now=NOW).state is JobState.CANCELLED
    assert judge(JOB, ending(EndReason.CANCELLED), policy=THREE_TRIES, now=NOW).state is JobState.CANCELLED


@pytest.mark.parametrize("reason", EndReason)
def test_every_end_is_described_in_one_line_with_its_detail(reason: EndReason) -> None:
    text = describe(replace(ending(reason, 1), detail="why"))
    assert text.endswith(": why")
    assert "\n" not in text
