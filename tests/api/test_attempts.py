"""What the pod of an attempt asks of the gateway: with its claim, for its own attempt, while it is live."""

import json
import secrets
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.actions.upload_outputs import drop_uploads
from gateway.backends.objects.protocol import OWN_BUCKET
from gateway.domain.claim import make_claim
from gateway.domain.job import (
    Attempt,
    Delivered,
    Ending,
    EndReason,
    JobId,
    JobState,
    Kept,
    job_of,
    report_key,
    result_key,
)
from gateway.domain.mark import written_by
from gateway.domain.problems import NotFound
from gateway.domain.work_order import read_work_order
from tests.api.gateway_rig import Gateway

ROUTES = [
    ("GET", "order"),
    ("GET", "payload"),
    ("POST", "links"),
    ("POST", "uploads"),
    ("POST", "uploads/complete"),
    ("POST", "uploads/abort"),
    ("PUT", "result"),
    ("POST", "report"),
]
JSON_BODIES = {"links": b'{"links": []}', "uploads": b"{}", "uploads/complete": b"{}", "uploads/abort": b"{}"}
PART_LEAST = 5 << 20


class Pod:
    """A claimed attempt, and a client that shows its claim."""

    def __init__(self, gateway: Gateway, attempt: Attempt, **claimed: Any) -> None:
        self.gateway = gateway
        self.attempt = attempt
        backends = gateway.backends
        ends_at = backends.now() + claimed.get("lasts", timedelta(hours=1))
        key = claimed.get("key", backends.settings.claim_key)
        claim = make_claim(key, claimed.get("of", attempt.id), ends_at=ends_at)
        self.headers = {"Authorization": f"Bearer {claim}"}

    async def ask(self, method: str, what: str, **more: Any) -> httpx.Response:
        path = f"/v1/attempts/{self.attempt.id}/{what}"
        return await self.gateway.bare.request(method, path, headers=self.headers, **more)

    async def link(self, method: str, bucket: str, key: str) -> httpx.Response:
        return await self.ask(
            "POST", "links", json={"links": [{"method": method, "bucket": bucket, "key": key}]}
        )


async def claimed(gateway: Gateway, body: bytes = b"{}", **more: Any) -> Attempt:
    """The first attempt of a job of a new service."""
    name = f"pod{len(list(gateway.backends.registry.all()))}"
    await gateway.deploy(name, "true", **more)
    job = JobId(await gateway.submit(name, body))
    attempt = await gateway.backends.ledger.claim(job, now=gateway.backends.now())
    assert attempt is not None
    return attempt


@pytest.mark.parametrize(("method", "what"), ROUTES)
async def test_only_a_good_claim_of_this_very_attempt_opens_a_route(
    idle_gateway: Gateway, method: str, what: str
) -> None:
    attempt = await claimed(idle_gateway)
    other = await claimed(idle_gateway)
    for wrong in ({"key": "another"}, {"lasts": timedelta(seconds=-1)}, {"of": other.id}):
        answer = await Pod(idle_gateway, attempt, **wrong).ask(method, what)
        assert answer.status_code == 401
    answer = await idle_gateway.http.request(method, f"/v1/attempts/{attempt.id}/{what}")
    assert answer.status_code == 401


@pytest.mark.parametrize(("method", "what"), ROUTES)
async def test_the_door_is_closed_once_the_attempt_is_over(
    idle_gateway: Gateway, method: str, what: str
) -> None:
    attempt = await claimed(idle_gateway)
    now = idle_gateway.backends.now()
    lost = Ending(attempt.id, EndReason.INTERRUPTED)
    await idle_gateway.backends.ledger.settle(lost, state=JobState.WAITING, reason="", due_at=now, now=now)
    answer = await Pod(idle_gateway, attempt).ask(method, what, content=JSON_BODIES.get(what, b"x"))
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/conflict")


async def test_the_order_says_what_to_do(idle_gateway: Gateway) -> None:
    environment = {"variables": {"A": "b"}, "secrets": {"S": "c"}}
    rules = [{"storage_provider": "minio", "path": "made/out", "suffix": ["txt"]}]
    attempt = await claimed(idle_gateway, b"body", environment=environment, output=rules)
    order = read_work_order((await Pod(idle_gateway, attempt).ask("GET", "order")).content)
    assert (order.attempt, order.script, order.work.job) == (attempt.id, "true", attempt.job)
    assert order.work.payload is not None
    assert order.work.payload.inline == b"body"
    assert {"A": "b", "S": "c", "JOB_UUID": attempt.job, "EVENT": "body"}.items() <= order.environment.items()
    assert "token" not in order.config
    (rule,) = order.service.output
    assert (rule.bucket, rule.folder, rule.suffix) == ("made", "out", ("txt",))


async def test_a_large_payload_is_fetched_apart_from_the_order(idle_gateway: Gateway) -> None:
    body = b"x" * (1 << 20)
    pod = Pod(idle_gateway, await claimed(idle_gateway, body))
    assert (await pod.ask("GET", "payload")).content == body
    assert (await Pod(idle_gateway, await claimed(idle_gateway)).ask("GET", "payload")).status_code == 404


async def test_an_output_is_put_by_a_link_where_a_rule_lets_it_with_our_mark(idle_gateway: Gateway) -> None:
    rules = [{"storage_provider": "minio", "path": "linked/out", "suffix": ["txt"]}]
    attempt = await claimed(idle_gateway, output=rules)
    pod = Pod(idle_gateway, attempt)
    (link,) = (await pod.link("PUT", "linked", "out/a b.txt")).json()["links"]
    assert link["there"] is None
    assert (
        await idle_gateway.store.put(link["url"], headers=link["headers"], content=b"1")
    ).status_code == 200
    assert (await idle_gateway.store.put(link["url"], content=b"1")).status_code == 403
    stored = await idle_gateway.backends.objects.stat("linked", "out/a b.txt")
    deployed = idle_gateway.backends.registry.get(job_of(attempt.id)[0].rpartition("-")[0])
    assert deployed is not None
    assert written_by(stored.mark, service_uid=deployed.uid, bucket="linked", key="out/a b.txt")
    (again,) = (await pod.link("PUT", "linked", "out/a b.txt")).json()["links"]
    assert (again["there"]["etag"], again["there"]["mark"]) == (stored.etag, stored.mark)


@pytest.mark.parametrize(
    ("method", "bucket", "key"),
    [
        ("PUT", "narrow", "out/a.png"),
        ("PUT", "narrow", "elsewhere/a.txt"),
        ("PUT", "other", "out/a.txt"),
        ("PUT", OWN_BUCKET, "results/x"),
        ("GET", "narrow", "out/a.txt"),
        ("GET", OWN_BUCKET, "payloads/x"),
    ],
)
async def test_nothing_else_is_linked(idle_gateway: Gateway, method: str, bucket: str, key: str) -> None:
    rules = [{"storage_provider": "minio", "path": "narrow/out", "suffix": ["txt"]}]
    pod = Pod(idle_gateway, await claimed(idle_gateway, output=rules))
    assert (await pod.link(method, bucket, key)).status_code == 403


class Parted:
    """An upload that a pod has begun."""

    def __init__(self, pod: Pod, upload: str, where: dict[str, str]) -> None:
        self.pod, self.where, self.bucket = pod, {**where, "upload": upload}, where["bucket"]

    async def put(self, number: int, content: bytes) -> str:
        """The part's eTag."""
        wish = {"method": "PUT", **self.where, "part": number}
        (link,) = (await self.pod.ask("POST", "links", json={"links": [wish]})).json()["links"]
        answer = await self.pod.gateway.store.put(link["url"], headers=link["headers"], content=content)
        assert answer.status_code == 200, answer.text
        return answer.headers["ETag"].strip('"')

    async def noted(self) -> int:
        """How many uploads of its attempt are known to be open."""
        prefix = f"uploads/{self.pod.attempt.id}/"
        return len((await self.pod.gateway.backends.objects.list(OWN_BUCKET, prefix=prefix)).objects)

    async def complete(self, *etags: str) -> httpx.Response:
        return await self.pod.ask("POST", "uploads/complete", json={**self.where, "etags": etags})


async def begun(gateway: Gateway) -> Parted:
    """In a bucket of its own."""
    bucket = f"large{secrets.token_hex(6)}"
    rules = [{"storage_provider": "minio", "path": f"{bucket}/out", "suffix": ["txt"]}]
    pod = Pod(gateway, await claimed(gateway, output=rules))
    where = {"bucket": bucket, "key": "out/a b.txt"}
    answer = await pod.ask("POST", "uploads", json={**where, "content_type": "text/x"})
    return Parted(pod, answer.json()["upload"], where)


async def test_a_large_output_is_put_in_parts_by_links_with_our_mark(idle_gateway: Gateway) -> None:
    upload = await begun(idle_gateway)
    etags = [await upload.put(1, b"a" * PART_LEAST), await upload.put(2, b"b")]
    assert (await idle_gateway.backends.objects.list(upload.bucket)).objects == ()
    assert await upload.noted() == 1
    answer = await upload.complete(*etags)
    stored = await idle_gateway.backends.objects.stat(upload.bucket, "out/a b.txt")
    assert (answer.status_code, answer.json()) == (
        200,
        {"etag": stored.etag, "size_bytes": stored.size_bytes},
    )
    deployed = idle_gateway.backends.registry.get(job_of(upload.pod.attempt.id)[0].rpartition("-")[0])
    assert deployed is not None
    assert written_by(stored.mark, service_uid=deployed.uid, bucket=upload.bucket, key="out/a b.txt")
    assert await upload.noted() == 0


async def test_completing_again_tells_the_same_and_makes_nothing(idle_gateway: Gateway) -> None:
    upload = await begun(idle_gateway)
    etag = await upload.put(1, b"all")
    first = await upload.complete(etag)
    before = await idle_gateway.backends.objects.stat(upload.bucket, "out/a b.txt")
    again = await upload.complete(etag)
    assert (again.status_code, again.json()) == (200, first.json())
    assert await idle_gateway.backends.objects.stat(upload.bucket, "out/a b.txt") == before
    assert (await upload.complete("0" * 32)).status_code == 404


async def test_an_upload_that_is_given_up_is_gone_with_its_note(idle_gateway: Gateway) -> None:
    upload = await begun(idle_gateway)
    etag = await upload.put(1, b"all")
    for _ in range(2):
        assert (await upload.pod.ask("POST", "uploads/abort", json=upload.where)).status_code == 204
    assert (await upload.complete(etag)).status_code == 404
    assert await upload.noted() == 0


async def test_a_part_that_is_not_there_or_too_small_is_told(idle_gateway: Gateway) -> None:
    upload = await begun(idle_gateway)
    etags = [await upload.put(1, b"small"), await upload.put(2, b"last")]
    for wrong in ([], ["0" * 32], [*etags], [*etags, "0" * 32], ["no digest"]):
        assert (await upload.complete(*wrong)).status_code == 400, wrong


@pytest.mark.parametrize("what", ["uploads", "uploads/complete", "uploads/abort"])
async def test_uploads_go_nowhere_but_where_a_rule_lets_them(idle_gateway: Gateway, what: str) -> None:
    upload = await begun(idle_gateway)
    for bucket, key in ((upload.bucket, "out/a.png"), ("other", "out/a.txt"), (OWN_BUCKET, "results/x")):
        body = {**upload.where, "bucket": bucket, "key": key, "etags": ["0" * 32]}
        assert (await upload.pod.ask("POST", what, json=body)).status_code == 403
    wish = {"method": "PUT", **upload.where, "key": "out/a.png", "part": 1}
    assert (await upload.pod.ask("POST", "links", json={"links": [wish]})).status_code == 403
    for part in (0, 10_001, "1"):
        wish = {"method": "PUT", **upload.where, "part": part}
        assert (await upload.pod.ask("POST", "links", json={"links": [wish]})).status_code == 400


async def test_what_a_pod_left_is_aborted_once_its_attempt_is_over_and_not_before(
    idle_gateway: Gateway,
) -> None:
    left, goes_on = await begun(idle_gateway), await begun(idle_gateway)
    etags = [await left.put(1, b"left"), await goes_on.put(1, b"goes on")]
    await drop_uploads(idle_gateway.backends)
    assert (await left.noted(), await goes_on.noted()) == (1, 1)
    now, lost = idle_gateway.backends.now(), Ending(left.pod.attempt.id, EndReason.INTERRUPTED)
    await idle_gateway.backends.ledger.settle(lost, state=JobState.WAITING, reason="", due_at=now, now=now)
    assert (await left.complete(etags[0])).status_code == 409
    await drop_uploads(idle_gateway.backends)
    with pytest.raises(NotFound):
        await idle_gateway.backends.objects.complete_upload(
            left.bucket, "out/a b.txt", left.where["upload"], [(1, etags[0])]
        )
    assert (await left.noted(), await goes_on.noted()) == (0, 1)
    assert (await goes_on.complete(etags[1])).status_code == 200
    assert await goes_on.noted() == 0


async def test_an_upload_whose_bucket_is_gone_leaves_no_note(idle_gateway: Gateway) -> None:
    upload = await begun(idle_gateway)
    await upload.put(1, b"lost")
    await idle_gateway.backends.objects.remove_bucket(upload.bucket)
    now, lost = idle_gateway.backends.now(), Ending(upload.pod.attempt.id, EndReason.INTERRUPTED)
    await idle_gateway.backends.ledger.settle(lost, state=JobState.WAITING, reason="", due_at=now, now=now)
    await drop_uploads(idle_gateway.backends)
    assert await upload.noted() == 0


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"links": [1]}', b'{"links": [{"method": "DELETE"}]}'])
async def test_wishes_that_cannot_be_read_are_refused(idle_gateway: Gateway, body: bytes) -> None:
    pod = Pod(idle_gateway, await claimed(idle_gateway))
    assert (await pod.ask("POST", "links", content=body)).status_code == 400


async def test_many_links_come_in_the_order_of_their_wishes(idle_gateway: Gateway) -> None:
    rules = [{"storage_provider": "minio", "path": "ordered/out"}]
    pod = Pod(idle_gateway, await claimed(idle_gateway, output=rules))
    keys = [f"out/{n}" for n in range(1000)]
    wishes = [{"method": "PUT", "bucket": "ordered", "key": key} for key in keys]
    links = (await pod.ask("POST", "links", json={"links": wishes})).json()["links"]
    assert [urlsplit(link["url"]).path for link in links] == [f"/ordered/{key}" for key in keys]
    refused = await pod.ask("POST", "links", json={"links": [*wishes, wishes[0]]})
    assert refused.status_code == 400


async def test_result_and_report_are_kept_under_the_attempts_own_keys(idle_gateway: Gateway) -> None:
    attempt = await claimed(idle_gateway)
    pod = Pod(idle_gateway, attempt)
    assert (await pod.ask("PUT", "result", content=b"result")).status_code == 204
    many = tuple(Delivered("data", f"out/{n}", 1, "etag") for n in range(10_000))
    ending = Ending(attempt.id, EndReason.EXITED, exit_code=0, kept=Kept(delivered=many))
    report = json.dumps({"ending": asdict(ending), "notes": ""}).encode()
    assert (await pod.ask("POST", "report", content=report)).status_code == 204
    for key, content in ((result_key(attempt.id), b"result"), (report_key(attempt.id), report)):
        kept = idle_gateway.backends.objects.read(OWN_BUCKET, key)
        assert b"".join([chunk async for chunk in kept]) == content


async def test_a_report_of_other_attempts_or_keys_is_refused(idle_gateway: Gateway) -> None:
    attempt, other = await claimed(idle_gateway), await claimed(idle_gateway)
    of_other = Ending(other.id, EndReason.EXITED, exit_code=0)
    foreign_key = Ending(attempt.id, EndReason.EXITED, kept=Kept(result_key=result_key(other.id)))
    for ending in (of_other, foreign_key):
        report = json.dumps({"ending": asdict(ending)}).encode()
        answer = await Pod(idle_gateway, attempt).ask("POST", "report", content=report)
        assert answer.status_code == 400
