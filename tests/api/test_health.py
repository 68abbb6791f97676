"""Life, readiness and measures."""

import dataclasses
import re

import pytest

from gateway.api.app import build_app
from gateway.domain.problems import Unavailable
from tests.api.gateway_rig import Gateway, client


async def test_health_is_ok_whoever_asks(gateway: Gateway) -> None:
    for answer in (
        await gateway.bare.get("/health"),
        await gateway.http.get("/health"),
        await gateway.bare.get("/health", auth=("oscar", "wrong")),
    ):
        assert (answer.status_code, answer.content) == (200, b"Ok")


async def test_the_gateway_is_ready_when_every_part_is(gateway: Gateway) -> None:
    answer = await gateway.bare.get("/ready")
    assert (answer.status_code, answer.json()) == (200, {"ready": True})


class Away:
    """A part that answers in one way only."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def ready(self) -> None:
        raise self._error


@pytest.mark.parametrize(
    ("error", "told"),
    [(Unavailable("the disk is away"), "the disk is away"), (KeyError("secret"), "the check broke")],
)
async def test_a_part_that_is_away_is_named_without_internals(
    gateway: Gateway, error: Exception, told: str
) -> None:
    broken = dataclasses.replace(gateway.backends, launcher=Away(error))  # type: ignore[arg-type]  # only asked this
    async with client(build_app(broken)) as http:
        answer = await http.get("/ready")
    assert answer.status_code == 503
    assert answer.json()["ready"] is False
    assert list(answer.json()["not_ready"]) == ["launcher"]
    assert answer.json()["not_ready"]["launcher"].startswith(told)
    assert "secret" not in answer.text


def numbers(text: str) -> dict[str, float]:
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in re.findall(r"^[^#].*", text, re.M)
    }


async def test_measures_count_requests_calls_and_jobs(gateway: Gateway) -> None:
    await gateway.deploy("measured", "echo measured")
    before = numbers((await gateway.http.get("/metrics")).text)
    await gateway.http.post("/run/measured")
    await gateway.http.post("/run/measured", auth=("oscar", "wrong"))
    await gateway.job(await gateway.submit("measured"))
    after = numbers((await gateway.http.get("/metrics")).text)

    def more(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert more('oscar_gateway_calls_total{outcome="ok",service="measured"}') == 1
    assert more('oscar_gateway_calls_total{outcome="unauthenticated",service="-"}') == 1
    run = 'oscar_gateway_request_seconds_count{method="POST",route="/run/{service}",status="200"}'
    assert more(run) == 1
    assert more('oscar_gateway_jobs{state="succeeded"}') == 1
    assert more("oscar_gateway_jobs_accepted_total") == 1
    deployed = (await gateway.http.get("/system/services")).json()
    assert after['oscar_gateway_services{state="deployed"}'] == len(deployed)
    assert after['oscar_gateway_services{state="unreadable"}'] == 0


async def test_accepted_jobs_are_those_there_are_and_those_removed(gateway: Gateway) -> None:
    found = numbers((await gateway.http.get("/metrics")).text)
    there = sum(value for name, value in found.items() if name.startswith("oscar_gateway_jobs{"))
    assert found["oscar_gateway_jobs_accepted_total"] == found["oscar_gateway_jobs_removed_total"] + there


async def test_names_that_callers_make_up_become_no_series(gateway: Gateway) -> None:
    await gateway.http.post("/run/made-up-by-a-caller")
    await gateway.http.request("MADEUP", "/made/up/path")
    assert not re.search("made-?up", (await gateway.http.get("/metrics")).text, re.IGNORECASE)
