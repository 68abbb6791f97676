"""Outputs stored from where a pod stands: by links alone, of a gateway that is a process of its own."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.backends.launcher.stage_out import ASKED_AT_ONCE, stage_out
from gateway.domain.claim import make_claim
from gateway.domain.job import Ending, EndReason, JobId, attempt_id
from gateway.domain.problems import NotFound
from gateway.domain.work_order import WorkOrder
from gateway.executors.protocol import Ended
from gateway.staging.workspace import Workspace
from tests.gateway_process import GatewayProcess, wait_for
from workers.pod.gateway import Gateway
from workers.pod.store import IN_MEMORY, PodStore

KEY = "the key of claims"
COUNT = 3 * ASKED_AT_ONCE


class Counting(Gateway):
    asked = 0
    """For links, so many times."""

    async def links(self, wishes: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
        self.asked += 1
        return await super().links(wishes)


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

    async def stage_out(self) -> Ending:
        ends_at = datetime.now(UTC) + timedelta(hours=1)
        claim = make_claim(KEY, self.attempt, ends_at=ends_at)
        gateway = Counting(self.process.endpoints["url"], self.attempt, claim)
        self.gateway = gateway
        order: WorkOrder = await gateway.order()
        store = PodStore(gateway, self.attempt, order.own_bucket, self.folder, verify=True)
        ended = Ended(EndReason.EXITED, 0)
        with closing(gateway), closing(store):
            return await stage_out(
                store, order.own_bucket, order, self.workspace, ended, output_limit=order.output_limit
            )

    def stored(self) -> dict[str, Any]:
        s3 = self.process.s3()
        try:
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=self.service)
            return {one["Key"]: one for page in pages for one in page.get("Contents", ())}
        finally:
            s3.close()


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path_factory.mktemp("gateway"), {"CLAIM_KEY": KEY}) as running:
        yield running
        with running.http() as http:  # their scripts sleep on otherwise
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
