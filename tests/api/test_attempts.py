"""What the pod of an attempt asks of the gateway: with its claim, for its own attempt, while it is live."""

import json
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

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
from gateway.domain.work_order import read_work_order
from tests.api.gateway_rig import Gateway

ROUTES = [("GET", "order"), ("GET", "payload"), ("POST", "links"), ("PUT", "result"), ("POST", "report")]


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
    body = b'{"links": []}' if what == "links" else b"x"
    answer = await Pod(idle_gateway, attempt).ask(method, what, content=body)
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
