"""The listing is the guarantee: what no notice told of is found, what was seen is not taken twice."""

from collections.abc import AsyncIterator

from gateway.actions.reconcile_buckets import reconcile_buckets
from gateway.domain.ids import event_job_id
from gateway.domain.job import Cause
from gateway.domain.mark import mark
from tests.api.gateway_rig import Gateway

INPUT = [{"storage_provider": "minio", "path": "found/in", "suffix": ["txt"]}]


async def once(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def test_a_file_that_no_notice_told_of_becomes_one_job(idle: Gateway) -> None:
    await idle.deploy("finder", input=INPUT)
    idle.silence()
    stored = await idle.backends.objects.put("found", "in/a.txt", once(b"a"))
    await idle.backends.objects.put("found", "in/a.png", once(b"not taken"))
    assert await reconcile_buckets(idle.backends) == 1
    assert await reconcile_buckets(idle.backends) == 0
    deployed = idle.backends.registry.get("finder")
    assert deployed is not None
    job = await idle.backends.ledger.job(event_job_id("finder", deployed.uid, stored))
    assert job.cause is Cause.BACKFILL


async def test_what_a_notice_told_of_is_not_taken_again_also_after_its_job_was_removed(busy: Gateway) -> None:
    await busy.deploy("finder", "true", input=INPUT)
    await busy.backends.objects.put("found", "in/a.txt", once(b"a"))
    (job,) = (await busy.http.get("/v1/jobs")).json()["jobs"]
    await busy.job(job["id"])
    assert (await busy.http.delete(f"/system/logs/finder/{job['id']}")).status_code == 204
    assert await reconcile_buckets(busy.backends) == 0


async def test_a_new_version_of_a_file_is_new_work(idle: Gateway) -> None:
    await idle.deploy("finder", input=INPUT)
    idle.silence()
    for _ in range(2):
        await idle.backends.objects.put("found", "in/a.txt", once(b"the same"))
        assert await reconcile_buckets(idle.backends) == 1


async def test_files_older_than_the_rule_are_left_alone(idle: Gateway) -> None:
    await idle.backends.objects.make_bucket("found", tags={})
    await idle.backends.objects.put("found", "in/old.txt", once(b"old"))
    await idle.deploy("finder", input=INPUT)
    assert await reconcile_buckets(idle.backends) == 0


async def test_what_the_service_wrote_itself_is_left_alone_but_a_copy_of_it_is_not(idle: Gateway) -> None:
    await idle.deploy("finder", input=INPUT)
    deployed = idle.backends.registry.get("finder")
    assert deployed is not None
    written = mark(service_uid=deployed.uid, job="finder-x", bucket="found", key="in/own.txt")
    await idle.backends.objects.put("found", "in/own.txt", once(b"own"), mark=written)
    await idle.backends.objects.put("found", "in/copy.txt", once(b"own"), mark=written)
    jobs = (await idle.http.get("/v1/jobs")).json()["jobs"]
    assert [job["input"]["key"] for job in jobs] == ["in/copy.txt"]
    assert await reconcile_buckets(idle.backends) == 0


async def test_a_bucket_that_vanished_does_not_hide_the_others(idle: Gateway) -> None:
    await idle.deploy("finder", input=INPUT)
    await idle.deploy("another", input=[{"storage_provider": "minio", "path": "other/in"}])
    idle.silence()
    await idle.backends.objects.put("other", "in/file", once(b"x"))
    await idle.backends.objects.remove_bucket("found")
    assert await reconcile_buckets(idle.backends) == 1
