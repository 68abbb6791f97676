"""Receiving a real MinIO's notifications: how fast its sender gets rid of a backlog, against a receiver that
does nothing; and how long one takes, against a bare row committed to a database of the same kind: with the
embedded defaults, whose worker is in the same process, and in the cluster form. One after the other, as its
sender has a backlog, each beside what is done about those before: the announcement, and in the embedded form
the worker's setting the job aside, since no place is free. And with a pause after each, as files come singly.
"""

import asyncio
import json
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from benchmarks.bare import postgresql_inserts, sqlite_inserts
from benchmarks.cluster_form import cluster_form
from benchmarks.gateway import Connection, Gateway, deploy, gateway
from benchmarks.notices import INPUT, notice
from benchmarks.table import show

if TYPE_CHECKING:
    from tests.servers.minio import Minio

EVENTS, WRITERS = 1000, 8
SINGLE, PAUSE_S = 200, 0.05


async def measure() -> None:
    from tests.servers.minio import free_port, minio

    port = free_port()
    url = f"http://127.0.0.1:{port}/events"
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, minio(Path(folder), webhook=url) as server:
        settings = server.settings() | {"HTTP_PORT": str(port), "JOBS_LIVE_LIMIT": "1", "RECONCILE_S": "3600"}
        kept = {"DATA_DIR": f"{folder}/gateway"}
        async with gateway(**settings, **kept) as running:
            connection = await running.connect()
            await deploy(connection, "bench", "sleep 3600", input=INPUT)
            connection.writer.close()
        await asyncio.to_thread(_upload, server, "a")
        bodies, trivial_s = await asyncio.to_thread(_record, port)
        await asyncio.to_thread(_upload, server, "b")
        async with gateway(**settings, **kept) as running:
            connection = await running.connect()
            drained_s = await _drained(connection, EVENTS)
            connection.writer.close()
            took = await _both_ways(running, server.token, [_renamed(body) for body in bodies])
            connection = await running.connect()
            await connection.request("DELETE", "/system/services/bench")
            connection.writer.close()
        bare_ms = await asyncio.to_thread(sqlite_inserts, Path(folder), EVENTS)
        _tell("embedded", took, bare_ms)
        _tell("PostgreSQL and RabbitMQ", *await _in_cluster_form())
    show(
        f"backlog of {EVENTS} at MinIO's own pace",
        "events/s",
        {"gateway": [EVENTS / drained_s], "a receiver that does nothing": [EVENTS / trivial_s]},
    )


def _tell(form: str, took: dict[str, list[float]], bare_ms: list[float]) -> None:
    for name, place in (("p50", 49), ("p99", 98)):
        series = {way: [quantiles(took_ms, n=100)[place]] for way, took_ms in took.items()}
        show(
            f"{form}: one notification, {name}", "ms", series | {"INSERT": [quantiles(bare_ms, n=100)[place]]}
        )


async def _in_cluster_form() -> tuple[dict[str, list[float]], list[float]]:
    """Of notifications and of bare rows; without a worker, which is another process there."""
    async with cluster_form() as form:
        await form.deploy("bench", input=INPUT)
        bodies = [notice((number, f"{number:032x}")) for number in range(EVENTS)]
        took = await _both_ways(form.gateway, form.settings["EVENTS_TOKEN"], bodies)
        return took, await postgresql_inserts(form.settings["DATABASE_URL"], EVENTS)


async def _both_ways(running: Gateway, token: str, bodies: list[bytes]) -> dict[str, list[float]]:
    """Milliseconds each; all bodies one after the other but the last ones, which come singly."""
    backlog, single = bodies[:-SINGLE], bodies[-SINGLE:]
    return {
        "one after the other": await _one_by_one(running, token, backlog),
        "singly": await _one_by_one(running, token, single, pause_s=PAUSE_S),
    }


def _upload(server: "Minio", folder: str) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=Config(s3={"addressing_style": "path"}),
    )
    with ThreadPoolExecutor(WRITERS) as threads:
        keys = [f"in/{folder}/{number}" for number in range(EVENTS)]
        list(threads.map(lambda key: client.put_object(Bucket="bench", Key=key, Body=b"x"), keys))
    client.close()


def _record(port: int) -> tuple[list[bytes], float]:
    """What the sender had to tell, and how long it took from the first to the last."""
    moments: list[float] = []
    bodies: list[bytes] = []
    done = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            moments.append(time.perf_counter())
            self.send_response(204)
            self.end_headers()
            if len(bodies) == EVENTS:
                done.set()

        def log_message(self, *_: Any) -> None:
            return

    with HTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        if not done.wait(120):
            raise SystemExit(f"only {len(bodies)} notifications came")
        server.shutdown()
    return bodies, moments[-1] - moments[0]


async def _drained(connection: Connection, events: int) -> float:
    """From the first job accepted to the last."""
    began = 0.0
    while True:
        _, answer = await connection.request("GET", "/metrics")
        told = sum(
            float(line.split()[-1])
            for line in answer.decode().splitlines()
            if line.startswith('oscar_gateway_events_total{outcome="accepted"')
        )
        if told and not began:
            began, before = time.perf_counter(), told
        if told >= events:
            return (time.perf_counter() - began) * events / (events - before)
        await asyncio.sleep(0.2)  # counting all jobs for the answer is work, too


async def _one_by_one(
    running: Gateway, token: str, bodies: list[bytes], *, pause_s: float = 0
) -> list[float]:
    connection = await replace(running, authorization=f"Bearer {token}").connect()
    took_ms = []
    for body in bodies:
        await asyncio.sleep(pause_s)
        began = time.perf_counter()
        status, answer = await connection.request("POST", "/events", body)
        took_ms.append((time.perf_counter() - began) * 1000)
        if status != 200 or not json.loads(answer)["accepted"]:
            raise SystemExit(f"refused with {status}: {answer.decode()}")
    connection.writer.close()
    return took_ms


def _renamed(body: bytes) -> bytes:
    """Of another object, so that it is work."""
    return body.replace(b"in%2Fa%2F", b"in%2Fc%2F")
