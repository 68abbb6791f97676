"""Calls on a real cluster: what a caller gets from zero, in bad weather, and after a redeployment."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.backends.cluster import Cluster
from gateway.backends.invoker.knative.invoker import KnativeInvoker
from gateway.backends.invoker.protocol import Call
from gateway.domain.body import pieces_of
from gateway.domain.definition import Service
from gateway.domain.deployed import Deployed
from gateway.domain.problems import NotFound, TimedOut, Unavailable
from tests.polling import until
from tests.servers.knative import Knative, knative

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

AT = datetime(2026, 11, 24, 3, tzinfo=UTC)
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[Knative]:
    with knative() as server:
        yield server


@pytest.fixture
async def opened(server: Knative) -> AsyncIterator[tuple[KnativeInvoker, Cluster]]:
    async with server.invoker() as opened:
        yield opened


@pytest.fixture
def invoker(opened: tuple[KnativeInvoker, Cluster]) -> KnativeInvoker:
    return opened[0]


@pytest.fixture
def cluster(opened: tuple[KnativeInvoker, Cluster]) -> Cluster:
    return opened[1]


@pytest.fixture
async def name(invoker: KnativeInvoker) -> AsyncIterator[str]:
    name = f"service-{next(numbers)}"
    yield name
    await invoker.retire(name)


@pytest.fixture
def define(server: Knative, name: str) -> Any:
    def define(script: str, **more: Any) -> Deployed:
        definition = {
            "name": name,
            "image": server.script_image,
            "script": script,
            "token": "t",
            "cpu": "0.1",
            **more,
        }
        at = AT + timedelta(seconds=next(numbers))
        return Deployed(Service.model_validate(definition), f"uid-{name}", AT, at)

    return define


async def asked(
    invoker: KnativeInvoker, deployed: Deployed, body: bytes = b"", *, limit_s: float = 60.0
) -> tuple[int, bytes]:
    async with invoker.invoke(Call("call-1", deployed, body, limit_s=limit_s)) as reply:
        return reply.status, b"".join([piece async for piece in pieces_of(reply.body)])


async def pods(cluster: Cluster, name: str) -> list[dict[str, Any]]:
    path = f"/api/v1/namespaces/{cluster.namespace}/pods"
    listed = await cluster.list(path, f"serving.knative.dev/service={name}")
    return [pod for pod in listed["items"] if "deletionTimestamp" not in pod["metadata"]]


async def test_twenty_calls_at_once_are_answered_from_zero_and_none_twice(
    invoker: KnativeInvoker, cluster: Cluster, define: Any, name: str
) -> None:
    quick = {"autoscaling.knative.dev/window": "6s"}
    # Twenty pods of a small node's two cores.
    deployed = define('cat "$INPUT_FILE_PATH"; echo ran >&2', annotations=quick, cpu="0.05")
    await invoker.prepare(deployed)
    assert await asked(invoker, deployed, b"first!") == (200, b"first!")

    async def at_zero() -> bool:
        return not await pods(cluster, name)

    await until(at_zero, within_s=120)
    bodies = [b"call %d!" % number for number in range(20)]
    answers = await asyncio.gather(*(asked(invoker, deployed, body) for body in bodies))
    assert answers == [(200, body) for body in bodies]
    # Pods that went already took their lines along: more than one a call there must never be.
    assert 0 < len((await invoker.log(deployed, tail=100)).lines) <= 20


async def test_an_image_that_cannot_be_pulled_is_named(invoker: KnativeInvoker, define: Any) -> None:
    deployed = define("true", image="dev.local/nowhere:1")
    await invoker.prepare(deployed)
    began = time.monotonic()
    with pytest.raises(Unavailable, match=r"dev\.local/nowhere:1.* cannot be pulled"):
        await asked(invoker, deployed, limit_s=300)
    # Long before the limit, also where it waits for others to leave the node first.
    assert time.monotonic() - began < 150
    status = await invoker.status(deployed)
    assert (status.state, "cannot be pulled" in status.reason) == ("failed", True)


async def test_a_pod_that_no_node_takes_is_waited_for_within_the_calls_limit_and_told(
    invoker: KnativeInvoker, define: Any
) -> None:
    deployed = define("true", cpu="900")
    await invoker.prepare(deployed)
    began = time.monotonic()
    with pytest.raises(TimedOut, match=r"no node takes the pod: .*Insufficient cpu"):
        await asked(invoker, deployed, limit_s=20)
    assert time.monotonic() - began > 19


async def test_a_quota_that_is_used_up_is_told_and_passes(
    invoker: KnativeInvoker, cluster: Cluster, define: Any
) -> None:
    quotas = f"/api/v1/namespaces/{cluster.namespace}/resourcequotas"
    await cluster.create(quotas, {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}})
    deployed = define("echo at last")
    try:
        await invoker.prepare(deployed)
        with pytest.raises((Unavailable, TimedOut), match="exceeded quota"):
            await asked(invoker, deployed, limit_s=30)
    finally:
        await cluster.delete(f"{quotas}/none")

    async def answered() -> bool:
        # Kubernetes tries again later and later; whoever calls meanwhile is told to.
        try:
            return await asked(invoker, deployed, limit_s=300) == (200, b"at last\n")
        except Unavailable as told:
            assert told.retry_after_s
            return False

    await until(answered, within_s=300)


async def test_a_container_that_has_no_shell_is_told(
    invoker: KnativeInvoker, define: Any, server: Knative
) -> None:
    deployed = define("true", image="dev.local/pause:1")
    await invoker.prepare(deployed)
    with pytest.raises(Unavailable, match="the service's container"):
        await asked(invoker, deployed)


async def test_calls_go_on_being_answered_when_an_update_cannot_start(
    invoker: KnativeInvoker, define: Any
) -> None:
    good = define("echo good")
    assert await asked(invoker, good) == (200, b"good\n")
    bad = define("echo good", image="dev.local/nowhere:1")
    await invoker.prepare(bad)
    assert await asked(invoker, bad) == (200, b"good\n")
    status = await invoker.status(bad)
    assert (status.state, "cannot be pulled" in status.reason) == ("degraded", True)


async def test_a_redeployment_changes_the_next_answer(invoker: KnativeInvoker, define: Any) -> None:
    for text in ("one", "two"):
        deployed = define(
            f"echo {text} $PLAIN $HIDDEN",
            environment={"variables": {"PLAIN": f"$({text}) $$"}, "secrets": {"HIDDEN": f"hidden {text}"}},
        )
        await invoker.prepare(deployed)
        assert await asked(invoker, deployed) == (200, f"{text} $({text}) $$ hidden {text}\n".encode())


async def test_deploying_the_same_again_makes_no_new_revision(
    invoker: KnativeInvoker, cluster: Cluster, define: Any, name: str
) -> None:
    path = f"/apis/serving.knative.dev/v1/namespaces/{cluster.namespace}/services/{name}"
    generations = []
    for _ in range(2):
        await invoker.prepare(define("true"))
        generations.append((await cluster.get(path))["metadata"]["generation"])
    assert generations == [1, 1]


async def test_past_its_limit_a_script_is_ended_and_the_next_call_answered(
    invoker: KnativeInvoker, define: Any
) -> None:
    deployed = define('[ -s "$INPUT_FILE_PATH" ] || exec sleep 60; echo next')
    assert await asked(invoker, deployed, b"warm!") == (200, b"next\n")
    with pytest.raises(TimedOut, match=r"after 1 s"):
        await asked(invoker, deployed, limit_s=1)
    assert await asked(invoker, deployed, b"next!", limit_s=5) == (200, b"next\n")


async def test_leaving_early_ends_the_script(invoker: KnativeInvoker, define: Any) -> None:
    one = {"min_scale": 1, "max_scale": 1}
    deployed = define(
        '[ -s "$INPUT_FILE_PATH" ] || { echo begun >&2; exec sleep 60; }; echo next', synchronous=one
    )
    assert await asked(invoker, deployed, b"warm!") == (200, b"next\n")
    leaving = asyncio.create_task(asked(invoker, deployed))

    async def begun() -> bool:
        return "begun" in [line.message for line in (await invoker.log(deployed, tail=5)).lines]

    await until(begun, within_s=20)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    # The only place there is would be taken for a minute.
    assert await asked(invoker, deployed, b"next!", limit_s=20) == (200, b"next\n")


async def test_a_script_out_of_memory_is_told_in_one_line(invoker: KnativeInvoker, define: Any) -> None:
    script = (
        "a=0123456789abcdef; for i in $(seq 18); do a=$a$a; done; "
        "for i in $(seq 50); do eval b$i=\\$a; sleep 0.05; done; echo survived"
    )
    deployed = define(script, memory="32Mi")
    assert await asked(invoker, deployed) == (500, b"the script was ended at its memory limit\n")


async def test_several_calls_share_an_instance_if_the_service_says_so(
    invoker: KnativeInvoker, cluster: Cluster, define: Any, name: str
) -> None:
    deployed = define(
        'sleep 1; cat "$INPUT_FILE_PATH"',
        annotations={"oscar-gateway/concurrency": "5"},
        synchronous={"max_scale": 1},
        cpu="0.4",
    )
    assert (await asked(invoker, deployed, b"warm!"))[0] == 200
    began = time.monotonic()
    bodies = [b"call %d!" % number for number in range(5)]
    answers = await asyncio.gather(*(asked(invoker, deployed, body) for body in bodies))
    assert answers == [(200, body) for body in bodies]
    assert time.monotonic() - began < 4
    assert len(await pods(cluster, name)) == 1


async def test_a_service_deleted_under_us_is_made_again_by_the_next_call(
    invoker: KnativeInvoker, cluster: Cluster, define: Any, name: str
) -> None:
    deployed = define("echo back")
    assert await asked(invoker, deployed) == (200, b"back\n")
    path = f"/apis/serving.knative.dev/v1/namespaces/{cluster.namespace}/services/{name}"
    await cluster.delete(path)

    async def seen() -> bool:
        return (await invoker.status(deployed)).state == "unavailable"

    await until(seen, within_s=30)
    assert await asked(invoker, deployed) == (200, b"back\n")


async def test_retiring_leaves_nothing_behind(
    invoker: KnativeInvoker, cluster: Cluster, define: Any, name: str
) -> None:
    await invoker.prepare(define("true"))
    await invoker.prepare(define("false"))
    await invoker.retire(name)
    await invoker.retire(name)
    with pytest.raises(NotFound):
        await cluster.get(f"/apis/serving.knative.dev/v1/namespaces/{cluster.namespace}/services/{name}")
    for kind in ("configmaps", "secrets"):
        path = f"/api/v1/namespaces/{cluster.namespace}/{kind}"
        assert (await cluster.list(path, f"oscar-gateway/calls-of={name}"))["items"] == []
