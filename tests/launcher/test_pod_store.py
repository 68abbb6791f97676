"""Outputs stored from where a pod stands: by links alone, of a gateway that is a process of its own."""

import asyncio
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.backends.launcher.stage_out import ASKED_AT_ONCE, stage_out
from gateway.domain.claim import make_claim
from gateway.domain.job import Ending, EndReason, JobId, attempt_id, job_of
from gateway.domain.parted import part_bytes
from gateway.domain.problems import NotFound
from gateway.domain.work_order import WorkOrder
from gateway.executors.protocol import Ended
from gateway.staging.workspace import Workspace
from tests.gateway_process import GatewayProcess, wait_for
from tests.servers.minio import free_port, minio
from workers.pod.gateway import Gateway
from workers.pod.laying import IN_MEMORY
from workers.pod.store import PodStore

KEY = "the key of claims"
COUNT = 3 * ASKED_AT_ONCE


class Counting(Gateway):
    asked = 0
    """For links, so many times."""
    begun = 0
    """Uploads in parts."""

    async def begin_upload(self, where: Mapping[str, str]) -> str:
        self.begun += 1
        return await super().begin_upload(where)

    async def links(self, wishes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        self.asked += 1
        return await super().links(wishes)


class Astray(Counting):
    """Links for a part of an upload lead nowhere, `times` times."""

    part, times = 2, 0

    async def links(self, wishes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        links = await super().links(wishes)
        for wish, link in zip(wishes, links, strict=True):
            if wish.get("part") == self.part and self.times:
                self.times -= 1
                link["url"] = f"http://127.0.0.1:{free_port()}/nobody"
        return links


class Pod:
    """What stage-out has, beside a script that still runs on the gateway's own machine."""

    def __init__(self, process: GatewayProcess, folder: Path, service: str) -> None:
        self.process, self.service, self.folder = process, service, folder
        with process.http() as http:
            rules = [{"storage_provider": "minio", "path": f"{service}/out"}]
            definition = {"name": service, "image": "none", "script": "sleep 600", "output": rules}
            assert http.post("/system/services", json=definition).status_code == 201
            job = http.post(f"/job/{service}").headers["X-OSCAR-Job-ID"]
            wait_for(lambda: http.get(f"/v1/jobs/{job}").json()["state"] == "running")
            self.attempt = attempt_id(JobId(job), 1)
        self.workspace = Workspace(folder / "oscar")
        self.workspace.output_dir.mkdir(parents=True)
        self.workspace.stdout.touch()

    async def stage_out(self, gateway: type[Counting] = Counting) -> Ending:
        self.gateway = gateway(self.process.endpoints["url"], self.attempt, self.claim())
        return await self.stage_out_by(self.gateway)

    def claim(self) -> str:
        return make_claim(KEY, self.attempt, ends_at=datetime.now(UTC) + timedelta(hours=1))

    async def stage_out_by(self, gateway: Gateway) -> Ending:
        order: WorkOrder = await gateway.order()
        store = PodStore(
            gateway, self.attempt, order.own_bucket, self.folder, verify=True, pauses_s=(0.01, 0.01)
        )
        ended = Ended(EndReason.EXITED, 0)
        with closing(gateway), closing(store):
            return await stage_out(
                store, order.own_bucket, order, self.workspace, ended, output_limit=order.output_limit
            )

    def leave(self, name: str, size_bytes: int) -> bytes:
        """An output whose parts differ."""
        content = random.Random(name).randbytes(size_bytes)
        (self.workspace.output_dir / name).write_bytes(content)
        return content

    def uploads(self) -> list[str]:
        """Keys of those that are begun and not over. MinIO tells of those of one key only."""
        with closing(self.process.s3()) as s3:
            listed = s3.list_multipart_uploads(Bucket=self.service, Prefix="out/big")
            return [one["Key"] for one in listed.get("Uploads", ())]

    def content(self, key: str) -> bytes:
        with closing(self.process.s3()) as s3:
            found: bytes = s3.get_object(Bucket=self.service, Key=key)["Body"].read()
            return found

    def stored(self) -> dict[str, Any]:
        s3 = self.process.s3()
        try:
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=self.service)
            return {one["Key"]: one for page in pages for one in page.get("Contents", ())}
        finally:
            s3.close()


STORES = ["embedded", pytest.param("minio", marks=pytest.mark.services)]


@pytest.fixture(scope="module", params=STORES)
def process(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    with ExitStack() as stack:
        settings = {"CLAIM_KEY": KEY, "JOBS_LIVE_LIMIT": "32"}
        if request.param == "minio":
            settings |= stack.enter_context(minio(tmp_path_factory.mktemp("minio"), own=True)).settings()
        running = stack.enter_context(GatewayProcess(tmp_path_factory.mktemp("gateway"), settings))
        yield running
        remove_all(running)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    settings = {"CLAIM_KEY": KEY, "OBJECT_LIMIT": str(1 << 20)}
    with GatewayProcess(tmp_path_factory.mktemp("narrow"), settings) as running:
        yield running
        remove_all(running)


def remove_all(process: GatewayProcess) -> None:
    """Their scripts sleep on otherwise."""
    with process.http() as http:
        for service in http.get("/system/services").json():
            assert http.delete(f"/system/services/{service['name']}").status_code == 204
        wait_for(lambda: not http.get("/v1/jobs").json()["jobs"])


async def test_many_outputs_take_few_questions_and_are_told_in_their_order(
    process: GatewayProcess, tmp_path: Path
) -> None:
    pod = Pod(process, tmp_path, "many")
    for n in range(COUNT):
        (pod.workspace.output_dir / f"{n:04}.txt").write_text(f"{n}\n")
    ending = await pod.stage_out()
    assert ending.succeeded, ending.detail
    stored = pod.stored()
    assert [one.key for one in ending.kept.delivered] == sorted(stored)
    assert len(stored) == COUNT
    assert {one.key: one.etag for one in ending.kept.delivered} == {
        key: one["ETag"].strip('"') for key, one in stored.items()
    }
    # Of each batch the first wish goes alone, the others together.
    assert pod.gateway.asked <= 2 * COUNT / ASKED_AT_ONCE


async def test_done_again_only_what_is_missing_or_changed_is_stored(
    process: GatewayProcess, tmp_path: Path
) -> None:
    pod = Pod(process, tmp_path, "again")
    for n in range(20):
        (pod.workspace.output_dir / f"{n}").write_text("same")
    first = await pod.stage_out()
    before = pod.stored()
    s3 = process.s3()
    s3.delete_object(Bucket="again", Key="out/7")
    s3.close()
    (pod.workspace.output_dir / "8").write_text("else")
    await asyncio.sleep(1.1)  # the times of a listing have whole seconds
    second = await pod.stage_out()
    after = pod.stored()
    assert {one.key for one in second.kept.delivered} == {one.key for one in first.kept.delivered}
    changed = {key for key in after if after[key]["LastModified"] != before[key]["LastModified"]}
    assert changed == {"out/7", "out/8"}


async def test_large_outputs_at_the_same_time_do_not_mix(process: GatewayProcess, tmp_path: Path) -> None:
    pod = Pod(process, tmp_path, "large")
    for n in range(4):
        (pod.workspace.output_dir / f"{n}").write_bytes(bytes([n]) * (IN_MEMORY + 1))
    assert (await pod.stage_out()).succeeded
    s3 = process.s3()
    for n in range(4):
        content = s3.get_object(Bucket="large", Key=f"out/{n}")["Body"].read()
        assert content == bytes([n]) * (IN_MEMORY + 1)
    s3.close()


async def test_a_large_output_goes_in_parts_and_is_not_stored_again_if_it_is_the_same(
    process: GatewayProcess, tmp_path: Path
) -> None:
    pod = Pod(process, tmp_path, "parted")
    content = pod.leave("big", 2 * part_bytes(1) + 12345)
    first = await pod.stage_out()
    assert first.succeeded, first.detail
    assert pod.content("out/big") == content
    before = pod.stored()
    delivered = {one.key: (one.etag, one.size_bytes) for one in first.kept.delivered}
    assert delivered == {key: (one["ETag"].strip('"'), one["Size"]) for key, one in before.items()}
    assert (pod.gateway.begun, pod.uploads()) == (1, [])
    second = await pod.stage_out()
    assert second.kept.delivered == first.kept.delivered
    assert (pod.gateway.begun, pod.stored()) == (0, before)
    (pod.workspace.output_dir / "big").write_bytes(b"changed" + content[7:])
    await pod.stage_out()
    assert pod.content("out/big") == b"changed" + content[7:]


async def test_a_part_that_fails_twice_is_put_again_alone(process: GatewayProcess, tmp_path: Path) -> None:
    class Twice(Astray):
        times = 2

    pod = Pod(process, tmp_path, "twice")
    content = pod.leave("big", 3 * part_bytes(1))
    ending = await pod.stage_out(Twice)
    assert ending.succeeded, ending.detail
    assert pod.content("out/big") == content
    assert pod.uploads() == []


async def test_a_part_that_never_succeeds_ends_the_upload_and_leaves_what_was_there(
    process: GatewayProcess, tmp_path: Path
) -> None:
    class Never(Astray):
        times = 1000

    pod = Pod(process, tmp_path, "never")
    with closing(process.s3()) as s3:
        s3.put_object(Bucket="never", Key="out/big", Body=b"old")
    pod.leave("big", 3 * part_bytes(1))
    ending = await pod.stage_out(Never)
    assert ending.reason is EndReason.STAGING
    assert ending.detail.startswith("part 2 of out/big could not be put: no answer")
    assert pod.content("out/big") == b"old"
    assert pod.uploads() == []


async def test_an_upload_that_the_store_gave_up_is_begun_anew(
    process: GatewayProcess, tmp_path: Path
) -> None:
    class GivenUp(Counting):
        async def complete_upload(self, where: Mapping[str, str], etags: Sequence[str]) -> str:
            if self.begun == 1:
                await super().abort_upload(where)
            return await super().complete_upload(where, etags)

    pod = Pod(process, tmp_path, "given-up")
    content = pod.leave("big", part_bytes(1) + 1)
    ending = await pod.stage_out(GivenUp)
    assert ending.succeeded, ending.detail
    assert pod.content("out/big") == content
    assert pod.uploads() == []


@pytest.mark.parametrize("size_bytes", [2 << 20, part_bytes(1) + 1])
async def test_what_is_too_large_for_the_store_is_too_much_output(
    narrow: GatewayProcess, tmp_path: Path, size_bytes: int
) -> None:
    pod = Pod(narrow, tmp_path, f"narrow{size_bytes}")
    pod.leave("big", size_bytes)
    ending = await pod.stage_out()
    assert ending.reason is EndReason.OUTPUT_LIMIT
    told = f"big has {size_bytes} bytes: the object store does not take an object this large"
    assert ending.detail == told
    assert (pod.stored(), pod.uploads()) == ({}, [])


def test_a_pod_killed_between_parts_leaves_no_object_and_its_upload_is_aborted(
    process: GatewayProcess, tmp_path: Path
) -> None:
    pod = Pod(process, tmp_path, "killed")
    pod.leave("big", 5 * part_bytes(1))
    arguments = [process.endpoints["url"], pod.attempt, pod.claim(), str(tmp_path)]
    command = [sys.executable, "-m", "tests.launcher.stuck_pod", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == b"four parts are put\n"
        killed.kill()
    assert (pod.stored(), pod.uploads()) == ({}, ["out/big"])
    job = f"/v1/jobs/{job_of(pod.attempt)[0]}"
    with process.http() as http:
        assert http.delete(job).status_code < 300
        wait_for(lambda: http.get(job).json()["state"] == "cancelled")
    # It looks for what was left at its start, too.
    process.kill()
    process.start()
    wait_for(lambda: pod.uploads() == [])
    assert pod.stored() == {}


async def test_a_bucket_that_is_gone_is_named_and_ends_the_rest(
    process: GatewayProcess, tmp_path: Path
) -> None:
    pod = Pod(process, tmp_path, "gone")
    for n in range(20):
        (pod.workspace.output_dir / f"{n}").write_text("lost")
    s3 = process.s3()
    s3.delete_bucket(Bucket="gone")
    s3.close()
    ending = await pod.stage_out()
    assert ending.reason is EndReason.STAGING
    assert ending.detail == str(NotFound("the bucket is not there: gone"))
