"""From a store's notification to the Kubernetes Job, in the cluster form."""

import asyncio
import json
import time
from dataclasses import replace
from statistics import quantiles
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from benchmarks.cluster_form import ClusterForm, cluster_form
from benchmarks.notices import INPUT, notice

if TYPE_CHECKING:
    from tests.servers.minio import Minio

EVENTS = 40


async def measure() -> None:
    async with cluster_form() as form, form.worker():
        first, *took_ms = await _events(form)
    parts = quantiles(took_ms, n=20)
    print(f"\nnotification to Job: p50 {parts[9]:.0f} ms, p95 {parts[18]:.0f} ms, first {first:.0f} ms")


async def _events(form: ClusterForm) -> list[float]:
    """Milliseconds from the post to the Job's being told of, one after the other."""
    await form.deploy("events", input=INPUT)
    client = _client(form.store)
    teller = await replace(form.gateway, authorization=f"Bearer {form.settings['EVENTS_TOKEN']}").connect()
    took_ms = []
    for number in range(EVENTS):
        # Only now: whoever lists the folder meanwhile would find it too.
        put = await asyncio.to_thread(client.put_object, Bucket="bench", Key=f"in/{number}", Body=b"x")
        before, etag = len(form.seen.at), put["ETag"].strip('"')
        began = time.perf_counter()
        status, answer = await teller.request("POST", "/events", notice((number, etag)))
        if status != 200 or not json.loads(answer)["accepted"]:
            raise SystemExit(f"refused with {status}: {answer.decode()}")
        took_ms.append(((await form.seen.count(before + 1))[before] - began) * 1000)
        await asyncio.sleep(0.2)
    teller.writer.close()
    client.close()
    return took_ms


def _client(store: "Minio") -> Any:
    return boto3.client(
        "s3",
        endpoint_url=store.url,
        region_name="us-east-1",
        aws_access_key_id=store.access_key,
        aws_secret_access_key=store.secret_key,
        config=Config(s3={"addressing_style": "path"}),
    )
