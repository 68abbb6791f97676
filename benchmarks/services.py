"""Calls passed on with 1, 300 and 10,000 services deployed: there should be no difference."""

import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.gateway import gateway
from benchmarks.processes import LOAD, UNDER_TEST, build, on_core, require, running
from benchmarks.subject import RUNS, Case, Subject, free_port, load, token_of
from benchmarks.table import show

COUNTS = (10_000, 300, 1)
CASE = Case(256, 16)


async def measure() -> None:
    require("go", "wrk", "taskset")
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder, port = Path(name), free_port()
        upstream = on_core(LOAD, str(await build("upstream", folder)), "-listen", f"127.0.0.1:{port}")
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(running(upstream, port=port, GOMAXPROCS="1"))
            settings = {"INVOKER_URL": f"http://127.0.0.1:{port}", "LOG_LEVEL": "error"}
            subjects = []
            for count in COUNTS:
                kept = {"DATA_DIR": str(folder / str(count)), **settings}
                token = await _deployed(folder / str(count), count, kept)
                started = await stack.enter_async_context(gateway(UNDER_TEST, **kept))
                url = f"{started.url}/run/bench"
                subjects.append(Subject(f"{count} services", url, token, started.pid))
            for _ in range(RUNS):
                for subject in subjects:
                    await load(subject, CASE)
            show("calls passed on by services", "calls/s", {one.name: one.rates for one in subjects})
            show("the same: CPU", "us/call", {one.name: one.cpu_us for one in subjects})


async def _deployed(data: Path, count: int, settings: dict[str, str]) -> str:
    """The token of one of so many services in the folder: the registry's file of one, again and again."""
    async with gateway(None, **settings) as started:
        token = await token_of(started)
    record = (data / "services" / "bench.yaml").read_text()
    for number in range(count - 1):
        file = data / "services" / f"other-{number}.yaml"
        file.write_text(record.replace("bench", f"other-{number}"))
        file.chmod(0o600)
    return token
