"""Random histories: the ledger answers what a few dictionaries would, and never loses count of a job."""

import asyncio
import shutil
import tempfile
from collections import Counter
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from gateway.backends.ledger.protocol import IdempotencyKey, Ledger
from gateway.backends.ledger.sql import open_ledger
from gateway.domain.job import (
    FINAL_STATES,
    LIVE_STATES,
    PLATFORM_REASONS,
    Cause,
    Ending,
    EndReason,
    JobId,
    JobState,
    NewJob,
    Payload,
    attempt_id,
)
from gateway.domain.problems import KeyReused, NotFound

START = datetime(2030, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)

numbers = st.integers(0, 8)
some = st.lists(numbers, min_size=1, max_size=5)
outcomes = st.sampled_from(
    [
        (EndReason.EXITED, 0, JobState.SUCCEEDED),
        (EndReason.EXITED, 1, JobState.WAITING),
        (EndReason.TIME_LIMIT, None, JobState.FAILED),
        (EndReason.INTERRUPTED, None, JobState.WAITING),
        (EndReason.STAGING, None, JobState.DEAD),
        (EndReason.CANCELLED, None, JobState.CANCELLED),
    ]
)


@dataclass
class Known:
    """What the model knows of a job."""

    created_at: datetime
    state: JobState = JobState.QUEUED
    due_at: datetime | None = None
    attempts: int = 0
    failures: int = 0
    interruptions: int = 0
    cancel_requested: bool = False


def job_id(number: int) -> JobId:
    return JobId(f"s{number % 3}-{number}")


def service_of(job: JobId) -> str:
    return job.partition("-")[0]


class LedgerMachine(RuleBasedStateMachine):
    """Each rule does one thing to the ledger and to the model, and compares the answers."""

    template: ClassVar[Path]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        file = shutil.copy(self.template, self.folder)
        self.opened: AbstractAsyncContextManager[Ledger] = open_ledger(f"sqlite:///{file}")
        self.ledger = self.runner.run(self.opened.__aenter__())
        self.now = START
        self.jobs: dict[JobId, Known] = {}
        self.remembered: set[JobId] = set()
        self.keys: dict[str, tuple[str, JobId]] = {}
        self.accepted = self.removed = 0

    def teardown(self) -> None:
        self.runner.run(self.opened.__aexit__(None, None, None))
        self.runner.close()
        shutil.rmtree(self.folder)

    def tick(self) -> datetime:
        self.now += SECOND
        return self.now

    def new_job(self, number: int) -> NewJob:
        job = job_id(number)
        service = service_of(job)
        return NewJob(job, service, f"uid-{service}", Cause.REQUEST, "ada", payload=Payload(1, b"x"))

    def model_accept(self, job: JobId, now: datetime) -> bool:
        if job in self.remembered:
            return False
        self.remembered.add(job)
        self.jobs[job] = Known(now)
        self.accepted += 1
        return True

    @rule(asked=some)
    def accept(self, asked: list[int]) -> None:
        now = self.tick()
        answers = self.runner.run(self.ledger.accept([self.new_job(number) for number in asked], now=now))
        for number, answer in zip(asked, answers, strict=True):
            assert answer.created == self.model_accept(job_id(number), now)

    @rule(asked=st.lists(st.tuples(numbers, st.sampled_from("kl"), st.sampled_from("fg")), max_size=6))
    def accept_at_once_with_keys(self, asked: list[tuple[int, str, str]]) -> None:
        now = self.tick()

        async def all_at_once() -> list[object]:
            requests = [
                self.ledger.accept(
                    [self.new_job(number)],
                    now=now,
                    key=IdempotencyKey("ada", key, fingerprint, now + 9999 * SECOND),
                )
                for number, key, fingerprint in asked
            ]
            return await asyncio.gather(*requests, return_exceptions=True)

        for (number, key, fingerprint), answer in zip(asked, self.runner.run(all_at_once()), strict=True):
            first = self.keys.get(key)
            if first and first[0] != fingerprint:
                assert isinstance(answer, KeyReused)
                continue
            assert isinstance(answer, tuple)
            if first:
                assert (answer[0].id, answer[0].created) == (first[1], False)
                continue
            created = self.model_accept(job_id(number), now)
            assert (answer[0].id, answer[0].created) == (job_id(number), created)
            if created:
                self.keys[key] = (fingerprint, job_id(number))

    @rule(number=numbers)
    def claim(self, number: int) -> None:
        attempt = self.runner.run(self.ledger.claim(job_id(number), now=self.tick()))
        known = self.jobs.get(job_id(number))
        if known is None or known.state is not JobState.QUEUED:
            assert attempt is None
            return
        known.state = JobState.STARTING
        known.attempts += 1
        assert attempt is not None
        assert attempt.id == attempt_id(job_id(number), known.attempts)

    @rule(number=numbers, attempt=st.integers(0, 3))
    def begin(self, number: int, attempt: int) -> None:
        began = self.runner.run(self.ledger.began(attempt_id(job_id(number), attempt), now=self.tick()))
        known = self.jobs.get(job_id(number))
        possible = known is not None and known.state is JobState.STARTING and known.attempts == attempt
        assert (began is not None) == possible
        if known and possible:
            known.state = JobState.RUNNING

    @rule(number=numbers, outcome=outcomes, stale=st.booleans(), wait_s=st.integers(0, 20))
    def settle(
        self, number: int, outcome: tuple[EndReason, int | None, JobState], stale: bool, wait_s: int
    ) -> None:
        reason, exit_code, state = outcome
        now = self.tick()
        due_at = now + wait_s * SECOND if state is JobState.WAITING else None
        known = self.jobs.get(job_id(number))
        current = attempt_id(job_id(number), (known.attempts if known else 0) - stale)
        ending = Ending(current, reason, exit_code)
        settled = self.runner.run(self.ledger.settle(ending, state=state, reason="", due_at=due_at, now=now))
        if known is None or stale or known.state not in LIVE_STATES:
            assert settled is None
            return
        assert settled is not None
        known.state, known.due_at = state, due_at
        known.failures += reason in (EndReason.EXITED, EndReason.TIME_LIMIT) and exit_code != 0
        known.interruptions += reason in PLATFORM_REASONS

    @rule(number=numbers)
    def park(self, number: int) -> None:
        parked = self.runner.run(self.ledger.park(job_id(number), reason="full"))
        known = self.jobs.get(job_id(number))
        assert parked == (known is not None and known.state is JobState.QUEUED)
        if known and parked:
            known.state = JobState.WAITING

    @rule(limit=st.integers(0, 6), full=st.frozensets(st.sampled_from(["s0", "s1", "s2"]), max_size=2))
    def admit(self, limit: int, full: frozenset[str]) -> None:
        live = Counter(service_of(job) for job, known in self.jobs.items() if known.state in LIVE_STATES)
        expected: list[JobId] = []
        while len(expected) < limit:
            gated = [
                (live[service_of(job)], known.created_at, job)
                for job, known in self.jobs.items()
                if known.state is JobState.WAITING and known.due_at is None and service_of(job) not in full
            ]
            if not gated:
                break
            job = min(gated)[-1]
            live[service_of(job)] += 1
            self.jobs[job].state = JobState.QUEUED
            expected.append(job)
        assert self.runner.run(self.ledger.admit(limit=limit, full=full)) == tuple(expected)

    @rule(limit=st.integers(1, 4))
    def due(self, limit: int) -> None:
        now = self.tick()
        waiting = [(known.due_at, job) for job, known in self.jobs.items() if known.due_at is not None]
        expected = [job for due_at, job in sorted(waiting) if due_at <= now][:limit]
        for job in expected:
            self.jobs[job].state, self.jobs[job].due_at = JobState.QUEUED, None
        assert self.runner.run(self.ledger.due(now=now, limit=limit)) == tuple(expected)

    @rule(number=numbers)
    def cancel(self, number: int) -> None:
        known = self.jobs.get(job_id(number))
        try:
            job = self.runner.run(self.ledger.cancel(job_id(number), reason="", now=self.tick()))
        except NotFound:
            assert known is None
            return
        assert known is not None
        if known.state in LIVE_STATES:
            known.cancel_requested = True
        elif known.state not in FINAL_STATES:
            known.state, known.due_at = JobState.CANCELLED, None
        assert (job.state, job.cancel_requested) == (known.state, known.cancel_requested)

    @rule(asked=some)
    def remove(self, asked: list[int]) -> None:
        ids = {job_id(number) for number in asked}
        expected = {job for job in ids if job in self.jobs and self.jobs[job].state in FINAL_STATES}
        removed = self.runner.run(self.ledger.remove(sorted(ids)))
        assert {job.id for job in removed} == expected
        for job in expected:
            del self.jobs[job]
        self.removed += len(expected)

    @rule(number=numbers)
    def remember(self, number: int) -> None:
        uid = f"uid-{service_of(job_id(number))}"
        self.runner.run(self.ledger.remember([job_id(number)], service_uid=uid, now=self.tick()))
        self.remembered.add(job_id(number))

    @rule(service=st.sampled_from(["s0", "s1", "s2"]))
    def forget_service(self, service: str) -> None:
        self.runner.run(self.ledger.forget_service(f"uid-{service}"))
        self.remembered -= {job for job in self.remembered - set(self.jobs) if service_of(job) == service}

    @invariant()
    def no_job_is_lost_or_counted_twice(self) -> None:
        totals = self.runner.run(self.ledger.totals())
        census = self.runner.run(self.ledger.census())
        assert totals == {"accepted": self.accepted, "removed": self.removed}
        assert totals["accepted"] == totals["removed"] + sum(census.states.values())
        states = Counter(known.state for known in self.jobs.values())
        assert census.states == {state: states[state] for state in JobState}

    @invariant()
    def what_is_told_of_each_job_is_what_happened_to_it(self) -> None:
        for job, known in self.jobs.items():
            told = self.runner.run(self.ledger.job(job))
            assert (told.state, told.due_at, told.attempts) == (known.state, known.due_at, known.attempts)
            assert (told.failures, told.interruptions) == (known.failures, known.interruptions)
            assert (told.created_at, told.cancel_requested) == (known.created_at, known.cancel_requested)


def test_the_ledger_behaves_as_its_model(made_file: Path) -> None:
    class Here(LedgerMachine):
        template = made_file

    few = settings(max_examples=8, stateful_step_count=30, deadline=None, derandomize=True, database=None)
    run_state_machine_as_test(Here, settings=few)
