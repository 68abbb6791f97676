"""Calls passed on by two processes on one port, against the Go reverse proxy with two threads. Each has both
cores, and shares them with who asks and who answers: a machine of two cores has no others. Alternating, five
runs each.

PostgreSQL, RabbitMQ and MinIO, which processes that share a port need, stand by; calls do not touch them.
"""

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from benchmarks.gateway import gateway
from benchmarks.passing import KIB, VARIED, go_proxy
from benchmarks.processes import BOTH, build, on_core, require, running
from benchmarks.subject import Case, Subject, compare, free_port, token_of

CASES = [Case(256, 16), Case(256, 64), Case(64 * KIB, 16), Case(256, 64, how=VARIED)]


async def measure() -> None:
    require("go", "wrk", "taskset")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, _parts(Path(folder)) as parts:
        async with _subjects(Path(folder), parts) as subjects:
            for case in CASES:
                await compare(subjects, case, asker=BOTH)


@contextmanager
def _parts(folder: Path) -> Iterator[dict[str, str]]:
    from tests.servers.minio import minio
    from tests.servers.postgresql import own_postgresql
    from tests.servers.rabbitmq import own_rabbitmq

    for name in ("minio", "registry"):
        (folder / name).mkdir()
    with ExitStack() as stack:
        yield {
            **stack.enter_context(minio(folder / "minio", own=True)).settings(),
            "DATABASE_URL": stack.enter_context(own_postgresql()).url,
            "QUEUE_URL": stack.enter_context(own_rabbitmq()).url,
            "REGISTRY_URL": f"file:{folder / 'registry'}",
        }


@asynccontextmanager
async def _subjects(folder: Path, parts: dict[str, str]) -> AsyncIterator[list[Subject]]:
    async with AsyncExitStack() as stack:
        backend, token = free_port(), "t" * 64
        upstream = on_core(BOTH, str(await build("upstream", folder)), "-listen", f"127.0.0.1:{backend}")
        await stack.enter_async_context(running(upstream, port=backend, GOMAXPROCS="2"))
        settings = {**parts, "INVOKER_URL": f"http://127.0.0.1:{backend}", "LOG_LEVEL": "error"}
        started = await stack.enter_async_context(gateway(BOTH, GATEWAY_PROCESSES="2", **settings))
        yield [
            Subject("gateway, 2 processes", f"{started.url}/run/bench", await token_of(started), started.pid),
            await stack.enter_async_context(go_proxy(folder, BOTH, backend=backend, token=token, threads=2)),
        ]
