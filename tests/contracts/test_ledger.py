"""What every ledger promises, whichever database it is in: a new one starts by adding its
name to LEDGERS, beside the empty ledgers."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gateway.backends.ledger.protocol import IdempotencyKey, Ledger
from gateway.backends.ledger.sql import open_ledger
from gateway.domain.event import StoredObject
from gateway.domain.job import (
    FINAL_STATES,
    AttemptId,
    Cause,
    Cursor,
    Delivered,
    Ending,
    EndReason,
    Job,
    JobId,
    JobQuery,
    JobState,
    Kept,
    NewJob,
    Payload,
    ResultKind,
)
from gateway.domain.problems import Invalid, KeyReused, NotFound, Unavailable
from tests.ledger.empty import file, ledger, made_database, made_file, postgresql_url, server, sqlite_url, url

__all__ = ["file", "ledger", "made_database", "made_file", "postgresql_url", "server", "sqlite_url", "url"]


def at(second: float) -> datetime:
    return datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=second)


def new_job(name: str, *, service: str = "grey", cause: Cause = Cause.REQUEST, body: bytes = b"{}") -> NewJob:
    return NewJob(
        id=JobId(name),
        service=service,
        service_uid=f"uid-{service}",
        cause=cause,
        owner="ada",
        payload=Payload(len(body), inline=body),
    )


def key(value: str, *, fingerprint: str = "f", expires_at: datetime | None = None) -> IdempotencyKey:
    return IdempotencyKey("ada/grey", value, fingerprint, expires_at or at(1000))


async def accept(ledger: Ledger, *names: str, second: float = 0, service: str = "grey") -> list[JobId]:
    accepted = await ledger.accept([new_job(name, service=service) for name in names], now=at(second))
    return [one.id for one in accepted]


async def start(ledger: Ledger, name: str, *, second: float = 0) -> AttemptId:
    """Accept, claim and begin a job."""
    await accept(ledger, name, second=second)
    return await run_again(ledger, JobId(name), second=second)


async def run_again(ledger: Ledger, job: JobId, *, second: float = 0) -> AttemptId:
    attempt = await ledger.claim(job, now=at(second))
    assert attempt is not None
    assert await ledger.began(attempt.id, now=at(second))
    return attempt.id


async def settle(
    ledger: Ledger,
    attempt: AttemptId,
    *,
    reason: EndReason = EndReason.EXITED,
    exit_code: int | None = 0,
    state: JobState = JobState.SUCCEEDED,
    due_at: datetime | None = None,
    second: float = 0,
) -> Job | None:
    ending = Ending(attempt, reason, exit_code)
    return await ledger.settle(ending, state=state, reason="", due_at=due_at, now=at(second))


async def finish(ledger: Ledger, name: str, *, second: float = 0) -> JobId:
    """Accept a job and have it succeed."""
    await settle(ledger, await start(ledger, name, second=second), second=second)
    return JobId(name)


async def test_an_accepted_job_is_told_as_it_was_handed_over(ledger: Ledger) -> None:
    stored = StoredObject("in", "a/b \ud83d\x00é.png", "5d41", at(-3.25), 12, "v1", "mark")
    new = NewJob(
        JobId("grey-1"), "grey", "uid-grey", Cause.EVENT, "ada", stored=stored, notice=b'{"Records":[]}'
    )

    (accepted,) = await ledger.accept([new], now=at(0.000001))

    assert accepted.created
    job = await ledger.job(JobId("grey-1"))
    assert (job.service, job.service_uid, job.cause, job.owner) == ("grey", "uid-grey", Cause.EVENT, "ada")
    assert (job.state, job.reason, job.created_at) == (JobState.QUEUED, "", at(0.000001))
    assert (job.payload, job.stored, job.notice, job.kept) == (None, stored, b'{"Records":[]}', Kept())
    assert (job.attempts, job.failures, job.interruptions, job.cancel_requested) == (0, 0, 0, False)


async def test_only_job_reads_the_bytes_a_job_came_with(ledger: Ledger) -> None:
    await ledger.accept([new_job("grey-1", body=b"\x00\xff")], now=at(0))

    whole = await ledger.job(JobId("grey-1"))
    (listed,) = (await ledger.jobs(JobQuery())).jobs

    assert whole.payload == Payload(2, inline=b"\x00\xff")
    assert listed.payload == Payload(2, inline=None)


async def test_a_payload_by_reference_keeps_its_key(ledger: Ledger) -> None:
    new = NewJob(
        JobId("grey-1"), "grey", "u", Cause.REQUEST, "ada", payload=Payload(1 << 40, key="payloads/1")
    )
    await ledger.accept([new], now=at(0))

    (listed,) = (await ledger.jobs(JobQuery())).jobs

    assert listed.payload == Payload(1 << 40, key="payloads/1")


async def test_an_unknown_job_is_not_found(ledger: Ledger) -> None:
    with pytest.raises(NotFound, match="grey-1"):
        await ledger.job(JobId("grey-1"))
    with pytest.raises(NotFound):
        await ledger.cancel(JobId("grey-1"), reason="", now=at(0))
    assert await ledger.attempts(JobId("grey-1")) == ()


async def test_a_job_accepted_again_is_not_written_again(ledger: Ledger) -> None:
    await ledger.accept([new_job("grey-1", body=b"first")], now=at(0))

    again = await ledger.accept([new_job("grey-1", body=b"second"), new_job("grey-2")], now=at(1))

    assert [(one.id, one.created) for one in again] == [("grey-1", False), ("grey-2", True)]
    payload = (await ledger.job(JobId("grey-1"))).payload
    assert payload is not None
    assert payload.inline == b"first"


async def test_the_same_id_twice_in_one_request_is_one_job(ledger: Ledger) -> None:
    accepted = await ledger.accept([new_job("grey-1"), new_job("grey-1")], now=at(0))

    assert [one.created for one in accepted] == [True, False]


async def test_the_same_id_from_many_at_once_is_one_job(ledger: Ledger) -> None:
    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(ledger.accept([new_job("grey-1")], now=at(0))) for _ in range(20)]

    created = [one.created for task in asked for one in task.result()]
    assert sorted(created) == [False] * 19 + [True]
    assert (await ledger.totals())["accepted"] == 1


async def test_a_removed_job_is_not_accepted_again(ledger: Ledger) -> None:
    await ledger.remove([await finish(ledger, "grey-1")])

    (again,) = await ledger.accept([new_job("grey-1")], now=at(5))

    assert not again.created
    assert await ledger.remembered([JobId("grey-1"), JobId("grey-2")]) == {"grey-1"}


async def test_an_idempotency_key_answers_the_first_job(ledger: Ledger) -> None:
    await ledger.accept([new_job("grey-1")], now=at(0), key=key("k"))

    (again,) = await ledger.accept([new_job("grey-2")], now=at(1), key=key("k"))

    assert (again.id, again.created) == ("grey-1", False)
    with pytest.raises(NotFound):
        await ledger.job(JobId("grey-2"))


async def test_an_idempotency_key_with_another_request_is_refused(ledger: Ledger) -> None:
    await ledger.accept([new_job("grey-1")], now=at(0), key=key("k"))

    with pytest.raises(KeyReused):
        await ledger.accept([new_job("grey-2")], now=at(1), key=key("k", fingerprint="other"))

    assert (await ledger.totals())["accepted"] == 1


async def test_an_idempotency_key_holds_in_its_scope_only(ledger: Ledger) -> None:
    elsewhere = IdempotencyKey("bob/grey", "k", "other", at(1000))
    await ledger.accept([new_job("grey-1")], now=at(0), key=key("k"))

    (accepted,) = await ledger.accept([new_job("grey-2")], now=at(1), key=elsewhere)

    assert accepted.created


async def test_an_expired_idempotency_key_is_new_again(ledger: Ledger) -> None:
    await ledger.accept([new_job("grey-1")], now=at(0), key=key("k", expires_at=at(10)))

    (accepted,) = await ledger.accept([new_job("grey-2")], now=at(10), key=key("k", fingerprint="other"))
    (again,) = await ledger.accept([new_job("grey-3")], now=at(11), key=key("k", fingerprint="other"))

    assert (accepted.id, accepted.created) == ("grey-2", True)
    assert again.id == "grey-2"


async def test_expired_idempotency_keys_are_forgotten_and_counted(ledger: Ledger) -> None:
    await ledger.accept([new_job("grey-1")], now=at(0), key=key("soon", expires_at=at(10)))
    await ledger.accept([new_job("grey-2")], now=at(0), key=key("later", expires_at=at(20)))

    assert await ledger.forget_keys(now=at(10)) == 1
    assert await ledger.forget_keys(now=at(10)) == 0


async def test_many_with_one_idempotency_key_at_once_get_one_job(ledger: Ledger) -> None:
    async with asyncio.TaskGroup() as tasks:
        asked = [
            tasks.create_task(ledger.accept([new_job(f"grey-{n}")], now=at(0), key=key("k")))
            for n in range(20)
        ]

    answers = [one for task in asked for one in task.result()]
    assert len({one.id for one in answers}) == 1
    assert sum(one.created for one in answers) == 1


async def test_of_two_requests_racing_with_one_key_one_is_refused(ledger: Ledger) -> None:
    results = await asyncio.gather(
        ledger.accept([new_job("grey-1")], now=at(0), key=key("k", fingerprint="one")),
        ledger.accept([new_job("grey-2")], now=at(0), key=key("k", fingerprint="two")),
        return_exceptions=True,
    )

    assert sum(isinstance(one, KeyReused) for one in results) == 1
    assert (await ledger.totals())["accepted"] == 1


async def test_a_key_goes_with_a_single_job(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="single job"):
        await ledger.accept([new_job("grey-1"), new_job("grey-2")], now=at(0), key=key("k"))


async def test_a_request_that_cannot_be_written_takes_no_other_along(ledger: Ledger) -> None:
    names = ["grey-1", "grey-2", "half-\udc80", "grey-3"]

    results = await asyncio.gather(
        *(ledger.accept([new_job(name)], now=at(0)) for name in names), return_exceptions=True
    )

    assert [isinstance(one, Invalid) for one in results] == [False, False, True, False]
    assert (await ledger.totals())["accepted"] == 3


async def test_a_caller_who_stops_waiting_takes_nothing_from_the_others(ledger: Ledger) -> None:
    impatient = [asyncio.ensure_future(ledger.accept([new_job(f"grey-{n}")], now=at(0))) for n in range(5)]
    patient = [asyncio.ensure_future(ledger.accept([new_job(f"red-{n}")], now=at(0))) for n in range(5)]
    await asyncio.sleep(0)
    for task in impatient:
        task.cancel()

    accepted = await asyncio.gather(*patient)
    await asyncio.gather(*impatient, return_exceptions=True)

    assert all(one.created for (one,) in accepted)


async def test_a_page_is_newest_first_and_says_whether_older_ones_follow(ledger: Ledger) -> None:
    for second in (2, 0, 1):
        await accept(ledger, f"grey-{second}", second=second)

    page = await ledger.jobs(JobQuery(limit=2))

    assert [job.id for job in page.jobs] == ["grey-2", "grey-1"]
    assert page.remaining
    assert not (await ledger.jobs(JobQuery(limit=3))).remaining


async def test_a_cursor_goes_on_where_the_page_ended_while_jobs_come_and_go(ledger: Ledger) -> None:
    # All created at the same moment: only the id tells them apart.
    await accept(ledger, *(f"grey-{n}" for n in range(7)))
    seen: list[str] = []
    query = JobQuery(limit=2)
    while True:
        page = await ledger.jobs(query)
        seen += [job.id for job in page.jobs]
        if not page.remaining:
            break
        last = page.jobs[-1]
        query = JobQuery(limit=2, after=Cursor(last.created_at, last.id))
        await accept(ledger, f"newer-{len(seen)}", second=1)

    assert seen == [f"grey-{n}" for n in reversed(range(7))]


async def test_a_listing_is_narrowed_by_service_state_cause_and_time(ledger: Ledger) -> None:
    causes = list(Cause)
    for n in range(16):
        service = "grey" if n < 12 else "red"
        await ledger.accept([new_job(f"{service}-{n:02}", service=service, cause=causes[n % 4])], now=at(n))
    for n in (0, 1, 2):
        await ledger.cancel(JobId(f"grey-{n:02}"), reason="", now=at(20))

    async def ids(query: JobQuery) -> list[str]:
        return [job.id for job in (await ledger.jobs(query)).jobs]

    cancelled = frozenset({JobState.CANCELLED})
    assert await ids(JobQuery(service="red")) == ["red-15", "red-14", "red-13", "red-12"]
    assert await ids(JobQuery(states=cancelled)) == ["grey-02", "grey-01", "grey-00"]
    assert await ids(JobQuery(states=cancelled | {JobState.QUEUED}, limit=2)) == ["red-15", "red-14"]
    assert await ids(JobQuery(cause=causes[1])) == ["red-13", "grey-09", "grey-05", "grey-01"]
    assert await ids(JobQuery(service="grey", cause=causes[1], states=cancelled)) == ["grey-01"]
    assert await ids(JobQuery(service="grey", cause=causes[0], created_to=at(8))) == ["grey-04", "grey-00"]
    assert await ids(JobQuery(created_from=at(14))) == ["red-15", "red-14"]
    assert await ids(JobQuery(created_from=at(3), created_to=at(5))) == ["grey-04", "grey-03"]
    assert await ids(JobQuery(service="none")) == []


async def test_a_claim_is_given_once(ledger: Ledger) -> None:
    await accept(ledger, "grey-1")

    claims = await asyncio.gather(*(ledger.claim(JobId("grey-1"), now=at(3)) for _ in range(8)))

    (attempt,) = [one for one in claims if one]
    assert (attempt.id, attempt.number, attempt.claimed_at) == ("grey-1-1", 1, at(3))
    assert await ledger.attempts(JobId("grey-1")) == (attempt,)
    job = await ledger.job(JobId("grey-1"))
    assert (job.state, job.attempts, job.attempt_id) == (JobState.STARTING, 1, "grey-1-1")


async def test_an_unknown_job_cannot_be_claimed_or_parked(ledger: Ledger) -> None:
    assert await ledger.claim(JobId("grey-1"), now=at(0)) is None
    assert not await ledger.park(JobId("grey-1"), reason="full")


async def test_an_attempt_begins_once(ledger: Ledger) -> None:
    attempt = await start(ledger, "grey-1", second=7)

    assert not await ledger.began(attempt, now=at(8))
    job = await ledger.job(JobId("grey-1"))
    assert (job.state, job.started_at) == (JobState.RUNNING, at(7))
    assert [one.started_at for one in await ledger.attempts(JobId("grey-1"))] == [at(7)]


@pytest.mark.parametrize(
    "name", ["grey-1-2", "grey-1-01", "grey-1-+1", "grey-1", "", "-", f"grey-1-{10**30}"]
)
async def test_an_attempt_that_is_not_the_current_one_changes_nothing(ledger: Ledger, name: str) -> None:
    await accept(ledger, "grey-1")
    await ledger.claim(JobId("grey-1"), now=at(0))

    assert not await ledger.began(AttemptId(name), now=at(1))
    assert await settle(ledger, AttemptId(name)) is None
    assert (await ledger.job(JobId("grey-1"))).state is JobState.STARTING


async def test_a_settled_job_tells_how_it_ended_and_what_is_kept(ledger: Ledger) -> None:
    attempt = await start(ledger, "grey-1")
    kept = Kept("r/1", ResultKind.FILE, "out.png", "l/1", (Delivered("out", "é.png", 12, "5d41"),))
    ending = Ending(attempt, EndReason.EXITED, 0, "", kept)

    settled = await ledger.settle(ending, state=JobState.SUCCEEDED, reason="done", due_at=None, now=at(9))

    assert settled is not None
    assert (settled.state, settled.reason, settled.finished_at) == (JobState.SUCCEEDED, "done", at(9))
    assert (settled.exit_code, settled.kept, settled.failures) == (0, kept, 0)
    assert (await ledger.job(JobId("grey-1"))).kept == kept
    (told,) = await ledger.attempts(JobId("grey-1"))
    assert (told.finished_at, told.reason, told.exit_code) == (at(9), EndReason.EXITED, 0)


async def test_settling_twice_settles_once(ledger: Ledger) -> None:
    attempt = await start(ledger, "grey-1")

    first = await settle(ledger, attempt, second=1)
    second = await settle(ledger, attempt, exit_code=1, state=JobState.FAILED, second=2)

    assert first is not None
    assert second is None
    assert (await ledger.job(JobId("grey-1"))).finished_at == at(1)


async def test_an_attempt_can_end_without_having_begun(ledger: Ledger) -> None:
    await accept(ledger, "grey-1")
    attempt = await ledger.claim(JobId("grey-1"), now=at(0))
    assert attempt is not None

    settled = await settle(
        ledger, attempt.id, reason=EndReason.NOT_STARTED, exit_code=None, state=JobState.DEAD
    )

    assert settled is not None
    assert (settled.state, settled.interruptions, settled.started_at) == (JobState.DEAD, 1, None)


@pytest.mark.parametrize(
    ("reason", "exit_code", "failures", "interruptions"),
    [
        (EndReason.EXITED, 0, 0, 0),
        (EndReason.EXITED, 3, 1, 0),
        (EndReason.TIME_LIMIT, None, 1, 0),
        (EndReason.MEMORY_LIMIT, 137, 1, 0),
        (EndReason.CANCELLED, 143, 0, 0),
        (EndReason.INPUT_GONE, None, 0, 0),
        (EndReason.INTERRUPTED, None, 0, 1),
        (EndReason.NOT_STARTED, None, 0, 1),
        (EndReason.STAGING, None, 0, 1),
    ],
)
async def test_an_end_is_charged_to_whom_it_is_due(
    ledger: Ledger, reason: EndReason, exit_code: int | None, failures: int, interruptions: int
) -> None:
    attempt = await start(ledger, "grey-1")

    settled = await settle(ledger, attempt, reason=reason, exit_code=exit_code, state=JobState.FAILED)

    assert settled is not None
    assert (settled.failures, settled.interruptions) == (failures, interruptions)


async def test_those_who_need_not_be_waited_for_are_told_from_the_others(ledger: Ledger) -> None:
    await accept(ledger, "grey-queued")
    await start(ledger, "grey-live")
    await finish(ledger, "grey-done")
    asked = [JobId(name) for name in ("grey-queued", "grey-live", "grey-done", 'none-"\u00e9')]

    assert await ledger.over(asked) == {"grey-done", 'none-"\u00e9'}
    assert await ledger.over([]) == frozenset()


async def test_text_that_no_database_keeps_is_mended_not_refused(ledger: Ledger) -> None:
    attempt = await start(ledger, "grey-1")
    ending = Ending(attempt, EndReason.EXITED, 1, "a\x00b\udc80")

    settled = await ledger.settle(ending, state=JobState.FAILED, reason="\x00", due_at=None, now=at(1))

    assert settled is not None
    assert settled.reason == "\ufffd"
    assert [one.detail for one in await ledger.attempts(JobId("grey-1"))] == ["a\ufffdb\ufffd"]


async def test_a_retry_comes_due_and_runs_as_the_next_attempt(ledger: Ledger) -> None:
    attempt = await start(ledger, "grey-1")
    await settle(ledger, attempt, exit_code=1, state=JobState.WAITING, due_at=at(60))

    assert await ledger.due(now=at(59), limit=10) == ()
    assert await ledger.due(now=at(60), limit=10) == ("grey-1",)
    assert await ledger.due(now=at(60), limit=10) == ()

    job = await ledger.job(JobId("grey-1"))
    assert (job.state, job.due_at, job.failures) == (JobState.QUEUED, None, 1)
    assert await run_again(ledger, JobId("grey-1"), second=61) == "grey-1-2"
    assert await settle(ledger, attempt) is None
    assert [one.number for one in await ledger.attempts(JobId("grey-1"))] == [1, 2]


async def test_jobs_come_due_earliest_first_and_as_many_as_asked(ledger: Ledger) -> None:
    for name, due in (("grey-a", 30), ("grey-b", 10), ("grey-c", 20)):
        await settle(ledger, await start(ledger, name), state=JobState.WAITING, due_at=at(due))

    assert await ledger.due(now=at(30), limit=2) == ("grey-b", "grey-c")
    assert await ledger.due(now=at(30), limit=2) == ("grey-a",)


async def test_a_parked_job_waits_for_the_gate_not_for_a_time(ledger: Ledger) -> None:
    await accept(ledger, "grey-1")

    assert await ledger.park(JobId("grey-1"), reason="4 attempts run")
    assert not await ledger.park(JobId("grey-1"), reason="again")

    job = await ledger.job(JobId("grey-1"))
    assert (job.state, job.reason, job.due_at) == (JobState.WAITING, "4 attempts run", None)
    assert await ledger.due(now=at(10**6), limit=10) == ()
    assert await ledger.claim(JobId("grey-1"), now=at(1)) is None
    assert await ledger.admit(limit=5) == ("grey-1",)
    assert (await ledger.job(JobId("grey-1"))).reason == ""


async def _parked(ledger: Ledger, *names: str, second: float) -> None:
    for name in names:
        await accept(ledger, name, second=second, service=name.partition("-")[0])
        await ledger.park(JobId(name), reason="full")


async def test_the_gate_admits_the_neediest_service_first_and_its_oldest_job(ledger: Ledger) -> None:
    await start(ledger, "grey-live")
    await _parked(ledger, "grey-1", second=1)
    await _parked(ledger, "red-2", second=3)
    await _parked(ledger, "red-1", second=2)
    await _parked(ledger, "blue-1", second=4)

    # One of grey's is alive. Each admitted one counts as such: red's second comes after grey's first.
    assert await ledger.admit(limit=10) == ("red-1", "blue-1", "grey-1", "red-2")
    assert await ledger.admit(limit=10) == ()


async def test_one_service_with_many_jobs_does_not_keep_another_from_the_gate(ledger: Ledger) -> None:
    await _parked(ledger, *(f"grey-{n:02}" for n in range(30)), second=0)
    await _parked(ledger, "red-1", second=9)

    assert await ledger.admit(limit=3) == ("grey-00", "red-1", "grey-01")


async def test_the_gate_admits_no_more_than_asked_and_nobody_who_is_full(ledger: Ledger) -> None:
    await _parked(ledger, "grey-1", "grey-2", "red-1", "blue-1", second=0)

    assert await ledger.admit(limit=0) == ()
    assert await ledger.admit(limit=10, full=frozenset({"grey", "red"})) == ("blue-1",)
    assert len(await ledger.admit(limit=2)) == 2


async def test_two_who_admit_at_once_admit_each_job_once(ledger: Ledger) -> None:
    await _parked(ledger, *(f"grey-{n}" for n in range(9)), second=0)

    admitted = await asyncio.gather(*(ledger.admit(limit=3) for _ in range(4)))

    assert sorted(job for one in admitted for job in one) == [f"grey-{n}" for n in range(9)]


async def test_queued_jobs_are_unannounced_until_announced_and_again_later(
    ledger: Ledger,
) -> None:
    await accept(ledger, "grey-2", second=2)
    await accept(ledger, "grey-1", second=1)
    await accept(ledger, "grey-9", second=9)

    async def unannounced(queued_before: float, announced_before: float, limit: int = 10) -> tuple[str, ...]:
        return await ledger.unannounced(
            queued_before=at(queued_before), announced_before=at(announced_before), limit=limit
        )

    assert await unannounced(9, 0) == ("grey-1", "grey-2")
    assert await unannounced(9, 0, limit=1) == ("grey-1",)
    await ledger.announced([JobId("grey-1"), JobId("grey-none")], now=at(20))
    assert await unannounced(100, 20) == ("grey-2", "grey-9")
    assert await unannounced(100, 21) == ("grey-1", "grey-2", "grey-9")
    await ledger.forget_announcements()
    assert await unannounced(100, 0) == ("grey-1", "grey-2", "grey-9")


async def test_a_job_that_is_queued_again_is_unannounced_again(ledger: Ledger) -> None:
    await accept(ledger, "grey-1", "grey-2")
    await ledger.announced([JobId("grey-1"), JobId("grey-2")], now=at(0))
    await ledger.park(JobId("grey-1"), reason="full")
    retried = await run_again(ledger, JobId("grey-2"))
    await settle(ledger, retried, exit_code=1, state=JobState.WAITING, due_at=at(50))
    await ledger.admit(limit=1)
    await ledger.due(now=at(50), limit=1)

    early = await ledger.unannounced(queued_before=at(50), announced_before=at(0), limit=5)
    later = await ledger.unannounced(queued_before=at(51), announced_before=at(0), limit=5)

    assert early == ("grey-1",)
    assert later == ("grey-1", "grey-2")


async def test_a_job_that_does_not_run_is_cancelled_at_once(ledger: Ledger) -> None:
    await accept(ledger, "grey-queued")
    await _parked(ledger, "grey-parked", second=0)
    await settle(ledger, await start(ledger, "grey-retry"), state=JobState.WAITING, due_at=at(50))

    for name in ("grey-queued", "grey-parked", "grey-retry"):
        job = await ledger.cancel(JobId(name), reason="by ada", now=at(3))
        assert (job.state, job.reason, job.finished_at) == (JobState.CANCELLED, "by ada", at(3))
        assert (job.due_at, job.cancel_requested) == (None, False)
    assert await ledger.due(now=at(100), limit=5) == ()
    assert await ledger.admit(limit=5) == ()


async def test_a_live_job_is_asked_to_end(ledger: Ledger) -> None:
    attempt = await start(ledger, "grey-1")

    asked = await ledger.cancel(JobId("grey-1"), reason="by ada", now=at(3))
    assert (asked.state, asked.cancel_requested, asked.finished_at) == (JobState.RUNNING, True, None)
    assert [(job.id, job.cancel_requested) for job in await ledger.live()] == [("grey-1", True)]

    ended = await settle(ledger, attempt, reason=EndReason.CANCELLED, state=JobState.CANCELLED, second=4)
    again = await ledger.cancel(JobId("grey-1"), reason="again", now=at(5))
    assert ended is not None
    assert (again.state, again.finished_at, again.reason) == (JobState.CANCELLED, at(4), "")


async def test_live_jobs_are_told_and_counted_by_service(ledger: Ledger) -> None:
    await start(ledger, "grey-1")
    await accept(ledger, "grey-2", "grey-3")
    await ledger.claim(JobId("grey-2"), now=at(0))
    await accept(ledger, "red-1", service="red")
    await run_again(ledger, JobId("red-1"))
    await finish(ledger, "grey-4")

    census = await ledger.census()

    assert {job.id for job in await ledger.live()} == {"grey-1", "grey-2", "red-1"}
    assert await ledger.live_counts() == census.live == {"grey": 2, "red": 1}
    expected = {JobState.QUEUED: 1, JobState.STARTING: 1, JobState.RUNNING: 2, JobState.SUCCEEDED: 1}
    assert census.states == {state: expected.get(state, 0) for state in JobState}


async def test_what_ended_of_late_is_told_and_nothing_else(ledger: Ledger) -> None:
    for second in (1, 2, 3):
        await finish(ledger, f"grey-{second}", second=second)
    await start(ledger, "grey-live", second=3)
    await accept(ledger, "red-cancelled", second=0)
    await ledger.cancel(JobId("red-cancelled"), reason="", now=at(4))
    await finish(ledger, "grey-removed", second=4)
    await ledger.remove([JobId("grey-removed")])

    assert await ledger.ended(at(2)) == {"grey-2", "grey-3", "red-cancelled"}
    assert await ledger.ended(at(4.1)) == frozenset()


async def test_ended_jobs_are_found_by_time_service_and_state_oldest_first(ledger: Ledger) -> None:
    for second in (3, 1, 2):
        await finish(ledger, f"grey-{second}", second=second)
    await accept(ledger, "red-1", "red-2", service="red")
    await ledger.cancel(JobId("red-1"), reason="", now=at(2))

    assert await ledger.finished(states=FINAL_STATES, limit=10) == ("grey-1", "grey-2", "red-1", "grey-3")
    assert await ledger.finished(states=FINAL_STATES, limit=2) == ("grey-1", "grey-2")
    assert await ledger.finished(before=at(2), states=FINAL_STATES, limit=10) == ("grey-1",)
    cancelled = frozenset({JobState.CANCELLED})
    assert await ledger.finished(states=cancelled, limit=10) == ("red-1",)
    assert await ledger.finished(service_uid="uid-red", states=FINAL_STATES, limit=10) == ("red-1",)
    assert await ledger.finished(service_uid="uid-red", states=frozenset(), limit=10) == ()


async def test_only_ended_jobs_are_removed_with_all_they_have(ledger: Ledger) -> None:
    await finish(ledger, "grey-1")
    await start(ledger, "grey-2")

    removed = await ledger.remove([JobId("grey-1"), JobId("grey-2"), JobId("grey-none")])

    assert [(job.id, job.state) for job in removed] == [("grey-1", JobState.SUCCEEDED)]
    assert await ledger.attempts(JobId("grey-1")) == ()
    assert (await ledger.job(JobId("grey-2"))).state is JobState.RUNNING
    assert await ledger.totals() == {"accepted": 2, "removed": 1}
    assert await ledger.remove([JobId("grey-1")]) == ()


async def test_many_ids_at_once_are_fine(ledger: Ledger) -> None:
    names = [JobId(f"grey-{n:04}") for n in range(2500)]
    await ledger.accept([new_job(name) for name in names], now=at(0))
    await ledger.announced(names, now=at(1))

    assert await ledger.unannounced(queued_before=at(9), announced_before=at(1), limit=10) == ()
    assert await ledger.remembered([*names, JobId("other")]) == frozenset(names)
    assert await ledger.remove(names) == ()


async def test_a_remembered_id_is_never_accepted(ledger: Ledger) -> None:
    await accept(ledger, "grey-1")
    await ledger.remember([JobId("grey-1"), JobId("grey-2")], service_uid="uid-grey", now=at(0))
    await ledger.remember([JobId("grey-2")], service_uid="uid-grey", now=at(1))

    (accepted,) = await ledger.accept([new_job("grey-2")], now=at(2))

    assert not accepted.created
    assert await ledger.remembered([JobId("grey-2")]) == {"grey-2"}
    assert await ledger.totals() == {"accepted": 1, "removed": 0}


async def test_a_service_that_is_gone_is_forgotten_but_for_jobs_still_there(ledger: Ledger) -> None:
    await accept(ledger, "grey-there", "red-1")
    await ledger.remove([await finish(ledger, "grey-1")])
    await accept(ledger, "red-2", service="red")

    await ledger.forget_service("uid-grey")

    asked = [JobId(name) for name in ("grey-1", "grey-there", "red-2")]
    assert await ledger.remembered(asked) == {"grey-there", "red-2"}
    (accepted,) = await ledger.accept([new_job("grey-there")], now=at(5))
    assert not accepted.created


async def test_services_with_jobs_are_told_by_name_and_uid(ledger: Ledger) -> None:
    assert await ledger.services() == frozenset()
    await accept(ledger, "grey-1", "grey-2")
    await accept(ledger, "red-1", service="red")
    again = NewJob(JobId("grey-3"), "grey", "uid-newer", Cause.REQUEST, "ada", payload=Payload(0, b""))
    await ledger.accept([again], now=at(0))

    assert await ledger.services() == {("grey", "uid-grey"), ("grey", "uid-newer"), ("red", "uid-red")}


async def test_a_ledger_that_can_be_written_to_is_ready(ledger: Ledger) -> None:
    await ledger.ready()

    assert await ledger.totals() == {"accepted": 0, "removed": 0}


async def test_what_was_accepted_is_there_when_it_is_opened_again(url: str) -> None:
    async with open_ledger(url) as ledger:
        attempt = await start(ledger, "grey-1")

    async with open_ledger(url) as ledger:
        assert [job.id for job in await ledger.live()] == ["grey-1"]
        assert await settle(ledger, attempt) is not None
        assert await ledger.totals() == {"accepted": 1, "removed": 0}


async def test_a_ledger_that_closes_still_answers_who_asked_before(url: str) -> None:
    async with open_ledger(url) as ledger:
        asked = [asyncio.ensure_future(ledger.accept([new_job(f"grey-{n}")], now=at(0))) for n in range(5)]
        await asyncio.sleep(0)

    assert all(one.created for (one,) in await asyncio.gather(*asked))


async def test_a_closed_ledger_is_unavailable(url: str) -> None:
    async with open_ledger(url) as ledger:
        pass

    with pytest.raises(Unavailable):
        await ledger.accept([new_job("grey-1")], now=at(0))
    with pytest.raises(Unavailable):
        await ledger.census()
    with pytest.raises(Unavailable):
        await ledger.ready()


async def test_two_processes_worth_of_ledgers_share_one_database(url: str) -> None:
    async with open_ledger(url) as one, open_ledger(url) as other:
        accepted = await asyncio.gather(
            *(ledger.accept([new_job(f"grey-{n}")], now=at(0)) for n in range(20) for ledger in (one, other))
        )
        claims = await asyncio.gather(*(ledger.claim(JobId("grey-0"), now=at(1)) for ledger in (one, other)))

        assert sum(answer.created for (answer,) in accepted) == 20
        assert sum(claim is not None for claim in claims) == 1
        assert await other.totals() == {"accepted": 20, "removed": 0}


async def test_what_was_learned_is_kept_replaced_and_forgotten_with_its_service(ledger: Ledger) -> None:
    await ledger.keep_durations({"uid-a": [1.0, 2.0], "uid-a/cold": [3.0], "uid-b": [4.0]})
    await ledger.keep_durations({"uid-a": [5.0, 6.0]})
    assert await ledger.durations() == {"uid-a": [5.0, 6.0], "uid-a/cold": [3.0], "uid-b": [4.0]}
    await ledger.forget_service("uid-a")
    assert await ledger.durations() == {"uid-b": [4.0]}


async def test_an_attempt_that_begins_tells_whether_it_is_to_end_already(ledger: Ledger) -> None:
    await accept(ledger, "grey-1", "grey-2")
    attempts = [await ledger.claim(JobId(name), now=at(1)) for name in ("grey-1", "grey-2")]
    await ledger.cancel(JobId("grey-2"), reason="", now=at(2))

    begun = [await ledger.began(attempt.id, now=at(3)) for attempt in attempts if attempt]

    assert [one and one.cancel_requested for one in begun] == [False, True]


async def test_what_many_ask_at_once_is_answered_to_each_by_itself(ledger: Ledger) -> None:
    jobs = await accept(ledger, *(f"job-{number}" for number in range(20)))

    claims = await asyncio.gather(*(ledger.claim(job, now=at(n % 7)) for n, job in enumerate(jobs * 2)))
    attempts = [claim for claim in claims if claim is not None]
    begun = await asyncio.gather(*(ledger.began(one.id, now=one.claimed_at) for one in attempts * 2))
    found = await asyncio.gather(*(ledger.job(job) for job in jobs))
    parked = await asyncio.gather(*(ledger.park(job, reason="") for job in jobs))

    assert [attempt.job for attempt in attempts] == jobs
    assert [one is not None for one in begun] == [True] * 20 + [False] * 20
    assert [(job.id, job.state, job.started_at) for job in found] == [
        (job, JobState.RUNNING, at(n % 7)) for n, job in enumerate(jobs)
    ]
    assert not any(parked)


async def test_no_claim_overshoots_the_limits_whoever_claims_at_the_same_time(url: str) -> None:
    async with open_ledger(url) as one, open_ledger(url) as other:
        jobs = [new_job(f"job-{number}", service="grey" if number % 2 else "red") for number in range(12)]
        await one.accept(jobs, now=at(0))

        async def claim(number: int, **limits: int) -> bool:
            ledger = one if number % 3 else other
            return await ledger.claim(JobId(f"job-{number}"), now=at(1), **limits) is not None

        claimed = await asyncio.gather(
            *(claim(number, live_limit=9, service_limit=4) for number in range(12))
        )
        assert sum(claimed) == 8
        assert dict(await one.live_counts()) == {"grey": 4, "red": 4}
        claimed = await asyncio.gather(*(claim(number, live_limit=9) for number in range(12)))
        assert sum(claimed) == 1
        states = [(await one.job(job.id)).state for job in jobs]
        assert states.count(JobState.STARTING) == 9
        assert states.count(JobState.QUEUED) == 3


async def test_what_is_being_launched_is_taken_over_once_it_was_let_go_for_long_enough(
    ledger: Ledger,
) -> None:
    (job,) = await accept(ledger, "left")
    attempt = await ledger.claim(job, now=at(10))
    assert attempt is not None
    assert await ledger.take_over(attempt.id, held_before=at(9), now=at(40)) is None
    assert await ledger.take_over(attempt.id, held_before=at(10), now=at(40)) == 1
    assert await ledger.take_over(attempt.id, held_before=at(39), now=at(69)) is None
    await ledger.hold(attempt.id, now=at(60))
    assert await ledger.take_over(attempt.id, held_before=at(59), now=at(89)) is None
    assert await ledger.take_over(attempt.id, held_before=at(60), now=at(90)) == 2


async def test_only_what_is_starting_is_taken_over(ledger: Ledger) -> None:
    running = await start(ledger, "running")
    ended = await start(ledger, "ended")
    await settle(ledger, ended)
    for attempt in (running, ended, AttemptId("nobody-1"), AttemptId("no attempt")):
        assert await ledger.take_over(attempt, held_before=at(100), now=at(100)) is None


async def test_of_two_who_take_over_at_the_same_moment_one_does(ledger: Ledger) -> None:
    (job,) = await accept(ledger, "wanted")
    attempt = await ledger.claim(job, now=at(0))
    assert attempt is not None
    taking = (ledger.take_over(attempt.id, held_before=at(30), now=at(60)) for _ in range(5))
    assert sorted(await asyncio.gather(*taking), key=str) == [1, None, None, None, None]


async def test_why_a_live_job_does_not_go_on_is_noted_until_it_does_or_ends(ledger: Ledger) -> None:
    attempt = await start(ledger, "hindered")
    assert await ledger.explain(attempt, "no node takes its pod")
    assert (await ledger.job(JobId("hindered"))).reason == "no node takes its pod"
    assert await ledger.explain(attempt, "")
    assert (await ledger.job(JobId("hindered"))).reason == ""
    await settle(ledger, attempt)
    for other in (attempt, AttemptId("hindered-2"), AttemptId("nobody-1")):
        assert not await ledger.explain(other, "too late")
    assert (await ledger.job(JobId("hindered"))).reason == ""
