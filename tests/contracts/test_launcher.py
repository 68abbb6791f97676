"""The launcher's promises, held by every implementation: a new one adds its name to the list."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.backends.launcher.local import open_local_launcher
from gateway.backends.launcher.protocol import Launcher, Order
from gateway.backends.objects.embedded.store import open_embedded
from gateway.backends.objects.protocol import OWN_BUCKET, Objects, Provider
from gateway.domain.definition import Service
from gateway.domain.deployed import Deployed
from gateway.domain.event import StoredObject
from gateway.domain.job import (
    AttemptId,
    Delivered,
    Ending,
    EndReason,
    JobId,
    JobState,
    Payload,
    ResultKind,
)
from gateway.domain.mark import written_by
from gateway.domain.problems import NotFound, Unavailable
from gateway.staging.log import render
from tests.contracts.container_engine import IMAGE
from tests.contracts.kubernetes_launcher import PodPlace, open_pod_place
from tests.contracts.local_executor import LOG_LIMIT, open_executor
from tests.domain.definitions import JOB
from tests.gateway_process import PATIENCE
from tests.polling import until
from tests.servers.cluster import ClusterNamespace, cluster_namespace

LOCAL = ["process", pytest.param("docker", marks=pytest.mark.services)]
LAUNCHERS = [*LOCAL, pytest.param("kubernetes", marks=[pytest.mark.cluster, pytest.mark.timeout(600)])]
OUTPUT_LIMIT = 1 << 20
AT = datetime(2026, 11, 24, 3, tzinfo=UTC)


@dataclass
class Place:
    """A launcher's surroundings, which outlive it: its folder or its cluster, the store."""

    implementation: str
    folder: Path
    store: Objects
    pods: PodPlace | None = None

    @asynccontextmanager
    async def launcher(self, store: Any = None) -> AsyncIterator[Launcher]:
        if self.pods is not None:
            async with self.pods.launcher() as launcher:
                yield launcher
            return
        async with (
            open_executor(self.implementation) as executor,
            open_local_launcher(
                executor, store or self.store, self.folder, own_bucket=OWN_BUCKET, output_limit=OUTPUT_LIMIT
            ) as launcher,
        ):
            yield launcher

    async def nothing_left(self) -> bool:
        """Of any attempt."""
        return not (self.pods.left() if self.pods is not None else list(self.folder.iterdir()))

    async def kept(self, key: str | None) -> bytes:
        assert key is not None
        return b"".join([chunk async for chunk in self.store.read(OWN_BUCKET, key)])

    async def log(self, ending: Ending) -> str:
        assert ending.kept.log_key is not None
        lines = render(self.store.read(OWN_BUCKET, ending.kept.log_key), timestamps=False)
        return b"".join([chunk async for chunk in lines]).decode()

    async def content(self, bucket: str) -> dict[str, bytes]:
        listing = await self.store.list(bucket)
        return {
            found.key: b"".join([chunk async for chunk in self.store.read(bucket, found.key)])
            for found in listing.objects
        }


@asynccontextmanager
async def _local_place(name: str, folder: Path) -> AsyncIterator[Place]:
    provider = Provider("http://127.0.0.1:9", False, "us-east-1", "access", "secret")
    async with open_embedded(folder / "objects", provider, object_limit=1 << 30) as store:
        await store.make_bucket("data", tags={})
        yield Place(name, folder / "attempts", store)


@pytest.fixture(params=LOCAL)
async def local_place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """For promises that only this machine's own launchers make, or that are seen from here only."""
    async with _local_place(str(request.param), tmp_path) as place:
        yield place


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterNamespace]:
    with cluster_namespace() as cluster:
        yield cluster


@pytest.fixture(params=LAUNCHERS)
def chosen(request: pytest.FixtureRequest) -> str | ClusterNamespace:
    if request.param != "kubernetes":
        return str(request.param)
    cluster: ClusterNamespace = request.getfixturevalue("cluster")
    return cluster


@pytest.fixture
async def place(chosen: str | ClusterNamespace, tmp_path: Path) -> AsyncIterator[Place]:
    if isinstance(chosen, str):
        async with _local_place(chosen, tmp_path) as local:
            yield local
        return
    opening = open_pod_place(chosen, tmp_path, output_limit=OUTPUT_LIMIT, log_limit=LOG_LIMIT)
    async with opening as pods:
        await pods.backends.objects.make_bucket("data", tags={})
        yield Place("kubernetes", tmp_path, pods.backends.objects, pods)


@pytest.fixture
async def launcher(place: Place) -> AsyncIterator[Launcher]:
    async with place.launcher() as launcher:
        yield launcher


def order(
    script: str,
    body: bytes = b"",
    *,
    limit_s: float = 20.0,
    job: dict[str, Any] | None = None,
    **of_service: Any,
) -> Order:
    service = Service.model_validate({"name": "worker", "image": IMAGE, "script": script, **of_service})
    queued = replace(
        JOB,
        id=JobId(f"worker-{os.urandom(10).hex()}"),
        service="worker",
        service_uid="uid",
        state=JobState.STARTING,
        started_at=None,
        payload=Payload(len(body), inline=body),
    )
    return Order(replace(queued, **(job or {})), Deployed(service, "uid", AT, AT), limit_s)


def output(path: str, **more: Any) -> dict[str, Any]:
    return {"storage_provider": "minio", "path": path, **more}


async def ending_of(launcher: Launcher, attempt: AttemptId, *, forget: bool = True) -> Ending:
    async with asyncio.timeout(20 * PATIENCE):
        async for ending in launcher.endings():
            if ending.attempt == attempt:
                if forget:
                    await launcher.forget(attempt)
                return ending
    raise AssertionError("endings never end")


async def ended(launcher: Launcher, asked: Order) -> Ending:
    await launcher.launch(asked)
    return await ending_of(launcher, asked.attempt)


async def test_a_jobs_result_and_log_are_kept(place: Place, launcher: Launcher) -> None:
    asked = order('cat "$INPUT_FILE_PATH"; echo " for $JOB_UUID, $EVENT"; echo oops >&2', b'{"a": 1}')
    ending = await ended(launcher, asked)
    assert (ending.reason, ending.exit_code, ending.succeeded) == (EndReason.EXITED, 0, True)
    assert ending.kept.result_kind is ResultKind.TEXT
    result = f'{{"a": 1}} for {asked.job.id}, {{"a": 1}}\n'
    assert await place.kept(ending.kept.result_key) == result.encode()
    assert sorted((await place.log(ending)).splitlines()) == sorted([result.strip(), "oops"])


async def test_nothing_of_a_forgotten_attempt_stays(place: Place, launcher: Launcher) -> None:
    asked = order("echo")
    await ended(launcher, asked)
    assert await launcher.known() == frozenset()
    await until(place.nothing_left)
    await launcher.forget(asked.attempt)


async def test_a_payload_kept_in_the_store_is_fetched_and_decoded(place: Place, launcher: Launcher) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"aGVsbG8="

    await place.store.put(OWN_BUCKET, "payloads/1", body())
    payload = Payload(8, key="payloads/1")
    ending = await ended(launcher, order('cat "$INPUT_FILE_PATH"', job={"payload": payload}))
    assert await place.kept(ending.kept.result_key) == b"hello"


async def test_a_stored_object_is_the_input_under_its_own_name(place: Place, launcher: Launcher) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"in the bucket"

    stored = await place.store.put("data", "in/a b+ñ.txt", body())
    script = (
        'echo "${INPUT_FILE_PATH##*/}"; cat "$INPUT_FILE_PATH"; '
        'echo; echo "$STORAGE_OBJECT_KEY|$EVENT|$EVENT_TIME"'
    )
    ending = await ended(
        launcher, order(script, job={"payload": None, "stored": stored, "notice": b'{"n": 1}'})
    )
    lines = (await place.kept(ending.kept.result_key)).decode().splitlines()
    assert lines[:2] == ["a b+ñ.txt", "in the bucket"]
    key, event, at = lines[2].split("|")
    assert (key, event) == ("in/a b+ñ.txt", '{"n": 1}')
    assert datetime.fromisoformat(at) - stored.modified_at < timedelta(milliseconds=1)


async def test_a_service_that_stages_its_files_itself_gets_the_notice(
    place: Place, launcher: Launcher
) -> None:
    stored = StoredObject("data", "not/there", "etag", AT)
    asked = order(
        'cat "$INPUT_FILE_PATH"', job={"payload": None, "stored": stored, "notice": b"{}"}, file_stage_in=True
    )
    assert await place.kept((await ended(launcher, asked)).kept.result_key) == b"{}"


async def test_an_input_that_is_gone_is_not_launched(place: Place, launcher: Launcher) -> None:
    stored = StoredObject("data", "not/there", "etag", AT)
    with pytest.raises(NotFound):
        await launcher.launch(order("echo", job={"payload": None, "stored": stored}))
    assert await launcher.known() == frozenset()
    assert await place.nothing_left()


async def test_outputs_go_to_every_rule_that_accepts_them_marked_as_ours(
    place: Place, launcher: Launcher
) -> None:
    script = (
        'cd "$TMP_OUTPUT_DIR"; mkdir sub; echo 1 > one.txt; echo 2 > two.png; echo 3 > "sub/with blank.txt"'
    )
    rules = [output("data/texts", suffix=["txt"]), output("data/all")]
    ending = await ended(launcher, order(script, output=rules))
    found = await place.content("data")
    assert found == {
        "all/one.txt": b"1\n",
        "all/sub/with blank.txt": b"3\n",
        "all/two.png": b"2\n",
        "texts/one.txt": b"1\n",
        "texts/sub/with blank.txt": b"3\n",
    }
    assert {one.key for one in ending.kept.delivered} == set(found)
    stored = await place.store.stat("data", "all/one.txt")
    assert written_by(stored.mark, service_uid="uid", bucket="data", key="all/one.txt")
    assert Delivered("data", "all/one.txt", 2, stored.etag) in ending.kept.delivered
    assert ending.kept.result_kind is ResultKind.ZIP


async def test_outputs_of_a_script_that_failed_are_kept_too_and_what_it_printed_is_the_result(
    place: Place, launcher: Launcher
) -> None:
    asked = order('echo half > "$TMP_OUTPUT_DIR/half"; echo why; exit 5', output=[output("data/out")])
    ending = await ended(launcher, asked)
    assert (ending.reason, ending.exit_code) == (EndReason.EXITED, 5)
    assert await place.content("data") == {"out/half": b"half\n"}
    assert (ending.kept.result_name, await place.kept(ending.kept.result_key)) == ("", b"why\n")


async def test_what_cannot_be_stored_is_told_in_the_log(place: Place, launcher: Launcher) -> None:
    script = (
        'cd "$TMP_OUTPUT_DIR"; n=$(printf "\\377"); echo 1 > "x$n"; ln -s /etc/passwd link; echo 2 > good\n'
        'echo 3 > "new\nline"'
    )
    ending = await ended(launcher, order(script, output=[output("data/out")]))
    assert set(await place.content("data")) == {"out/good", "out/new\nline"}
    log = await place.log(ending)
    assert "[not stored: link: not a plain file]" in log
    assert "[not stored: x\\xff: the name is not UTF-8]" in log


async def test_too_much_output_is_an_end_of_its_own(place: Place, launcher: Launcher) -> None:
    asked = order('head -c 2000000 /dev/zero > "$TMP_OUTPUT_DIR/much"', output=[output("data/out")])
    ending = await ended(launcher, asked)
    assert ending.reason is EndReason.OUTPUT_LIMIT
    assert "OUTPUT_LIMIT" in ending.detail
    assert await place.content("data") == {}


async def test_past_its_limit_an_attempt_ends_with_that_reason_and_its_log(
    place: Place, launcher: Launcher
) -> None:
    ending = await ended(launcher, order("echo begun; exec sleep 60", limit_s=0.5))
    assert ending.reason is EndReason.TIME_LIMIT
    assert await place.log(ending) == "begun\n"


async def test_a_stopped_attempt_was_cancelled_and_delivers_nothing(place: Place, launcher: Launcher) -> None:
    asked = order('echo 1 > "$TMP_OUTPUT_DIR/a"; echo begun; sleep 60', output=[output("data/out")])
    await launcher.launch(asked)
    await until(lambda: _wrote(launcher, asked.attempt, b"begun"), within_s=10 * PATIENCE)
    await launcher.stop(asked.attempt)
    assert (await ending_of(launcher, asked.attempt)).reason is EndReason.CANCELLED
    assert await place.content("data") == {}
    await launcher.stop(asked.attempt)


async def test_launched_twice_it_runs_once(place: Place, launcher: Launcher) -> None:
    asked = order("echo ran")
    await asyncio.gather(launcher.launch(asked), launcher.launch(asked))
    ending = await ending_of(launcher, asked.attempt, forget=False)
    await launcher.launch(asked)
    assert await place.kept(ending.kept.result_key) == b"ran\n"
    assert await launcher.known() == {asked.attempt}
    await launcher.forget(asked.attempt)


async def test_an_ending_is_told_again_until_it_is_forgotten(launcher: Launcher) -> None:
    asked = order("exit 3")
    await launcher.launch(asked)
    first = await ending_of(launcher, asked.attempt, forget=False)
    assert await ending_of(launcher, asked.attempt) == first


async def test_the_log_can_be_read_while_it_runs(launcher: Launcher) -> None:
    asked = order("echo begun; sleep 60")
    await launcher.launch(asked)
    await until(lambda: _wrote(launcher, asked.attempt, b"stdout F begun\n"), within_s=10 * PATIENCE)
    await launcher.forget(asked.attempt)
    await until(lambda: _silent(launcher, asked.attempt), within_s=10 * PATIENCE)


async def _silent(launcher: Launcher, attempt: AttemptId) -> bool:
    """Nothing is left of it to be read."""
    return not await _wrote(launcher, attempt, b"")


async def _wrote(launcher: Launcher, attempt: AttemptId, text: bytes) -> bool:
    written = [chunk async for chunk in launcher.log(attempt)]
    return bool(written) and text in b"".join(written)


async def test_an_attempt_goes_on_without_its_launcher_and_the_next_one_tells_its_end(place: Place) -> None:
    asked = order('sleep 0.5; echo 1 > "$TMP_OUTPUT_DIR/a"', output=[output("data/out")])
    async with place.launcher() as first:
        await first.launch(asked)
    async with place.launcher() as second:
        assert await second.known() == {asked.attempt}
        await second.launch(asked)
        ending = await ending_of(second, asked.attempt)
    assert ending.succeeded
    assert await place.content("data") == {"out/a": b"1\n"}


async def test_an_ending_nobody_heard_is_told_by_the_next_launcher(place: Place) -> None:
    asked = order("echo heard")
    async with place.launcher() as first:
        await first.launch(asked)
        before = await ending_of(first, asked.attempt, forget=False)
    async with place.launcher() as second:
        assert await ending_of(second, asked.attempt) == before


async def test_an_attempt_that_was_only_being_prepared_is_unknown_and_launched_anew(
    local_place: Place,
) -> None:
    asked = order("echo anew")
    half = local_place.folder / asked.attempt / "input"
    half.mkdir(parents=True)
    (half / "torn").touch()
    async with local_place.launcher() as launcher:
        assert await launcher.known() == frozenset()
        ending = await ended(launcher, asked)
    assert await local_place.kept(ending.kept.result_key) == b"anew\n"


class Breaking:
    """The store, going away at a chosen `put`."""

    def __init__(self, store: Objects, *, after: int) -> None:
        self._store = store
        self._left = after
        self.puts: list[str] = []
        self.broken = asyncio.Event()

    def read(self, bucket: str, key: str) -> AsyncIterator[bytes]:
        return self._store.read(bucket, key)

    async def stat(self, bucket: str, key: str) -> StoredObject:
        return await self._store.stat(bucket, key)

    async def put(self, bucket: str, key: str, body: AsyncIterator[bytes], **more: Any) -> StoredObject:
        if self._left == 0:
            self.broken.set()
            raise Unavailable("the store is away")
        self._left -= 1
        self.puts.append(key)
        return await self._store.put(bucket, key, body, **more)


async def test_a_kill_between_two_uploads_stores_no_output_twice(local_place: Place) -> None:
    script = 'cd "$TMP_OUTPUT_DIR"; for n in 1 2 3; do echo $n > $n; done'

    async def two_stored() -> bool:
        return len((await local_place.store.list("data")).objects) == 2

    asked = order(script, output=[output("data/out")])
    breaking = Breaking(local_place.store, after=2)
    async with local_place.launcher(breaking) as first:
        await first.launch(asked)
        await breaking.broken.wait()
        await until(two_stored)
    versions = {one.key: one.modified_at for one in (await local_place.store.list("data")).objects}
    assert len(versions) == 2
    whole = Breaking(local_place.store, after=-1)
    async with local_place.launcher(whole) as second:
        ending = await ending_of(second, asked.attempt)
    assert ending.succeeded
    keys = [one.key for one in ending.kept.delivered]
    assert sorted(keys) == ["out/1", "out/2", "out/3"]
    assert [key for key in whole.puts if key.startswith("out/")] == [
        key for key in keys if key not in versions
    ]
    for key, at in versions.items():
        assert (await local_place.store.stat("data", key)).modified_at == at


async def test_an_output_bucket_that_is_gone_is_told(place: Place, launcher: Launcher) -> None:
    script = 'echo 1 > "$TMP_OUTPUT_DIR/a"; exit {code}'
    gone = [output("nowhere/out")]
    ending = await ended(launcher, order(script.format(code=0), output=gone))
    assert (ending.reason, "nowhere" in ending.detail) == (EndReason.STAGING, True)
    ending = await ended(launcher, order(script.format(code=4), output=gone))
    assert (ending.reason, ending.exit_code) == (EndReason.EXITED, 4)
    assert "could not be stored" in ending.detail


async def test_secrets_do_not_stay_with_the_attempt(local_place: Place) -> None:
    environment = {"variables": {}, "secrets": {"KEY": "s3cret"}}
    asked = order('[ -n "$KEY" ]', environment=environment)
    async with local_place.launcher() as launcher:
        await launcher.launch(asked)
        ending = await ending_of(launcher, asked.attempt, forget=False)
        assert ending.succeeded
        kept = [path for path in local_place.folder.rglob("*") if path.is_file()]
        assert kept
        assert not any(b"s3cret" in path.read_bytes() for path in kept)
        await launcher.forget(asked.attempt)


async def test_it_is_ready(launcher: Launcher) -> None:
    await launcher.ready()
