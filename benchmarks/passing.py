"""Calls passed on to a backend, against a tuned Go reverse proxy, nginx and the backend alone: who is
measured has one core, who asks and who answers the other. Alternating, five runs each.

Rates are only as good as the machine is quiet; the CPU time a call is what to look at on a busy one.
`BENCH_RUNS`, `BENCH_SECONDS` and `BENCH_CASES` (a part of the cases' names) make it shorter.
"""

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from benchmarks.gateway import gateway
from benchmarks.processes import LOAD, UNDER_TEST, Cores, build, on_core, require, running
from benchmarks.subject import Case, How, Subject, compare, free_port, token_of

KIB, MIB = 1 << 10, 1 << 20
VARIED: How = "every id another"
ADDRESSED: How = "every address another"
READ_ANEW: How = "every head read anew"
CHUNKED: How = "in chunks"
CASES = [
    *[Case(256, 16), Case(256, 64), Case(64 * KIB, 16), Case(64 * KIB, 64)],
    *[Case(256, 16, how=VARIED), Case(256, 64, how=VARIED), Case(64 * KIB, 16, how=VARIED)],
    *[Case(256, 16, how=ADDRESSED), Case(256, 64, how=ADDRESSED), Case(256, 16, how=READ_ANEW)],
    Case(256, 64, how=READ_ANEW),
    *[Case(256, 16, how=CHUNKED), Case(64 * KIB, 16, how=CHUNKED)],
    *[Case(256, 16, down=64 * KIB), Case(MIB, 16), Case(256, 16, down=MIB)],
]

NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log {folder}/access.log combined buffer=64k; client_body_temp_path {folder}/body;
  client_body_buffer_size 128k; proxy_temp_path {folder}/passed;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream backend {{ server 127.0.0.1:{backend}; keepalive 256; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      if ($http_authorization != "Bearer {token}") {{ return 401; }}
      proxy_pass http://backend/; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_set_header Authorization "";
      proxy_set_header X-Forwarded-For $remote_addr;
    }}
  }}
}}
"""


async def measure() -> None:
    require("go", "wrk", "taskset")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        async with _subjects(Path(folder)) as subjects:
            for case in CASES:
                await compare(subjects, case)


@asynccontextmanager
async def _subjects(folder: Path) -> AsyncIterator[list[Subject]]:
    """The Go proxy last: it is the reference."""
    async with AsyncExitStack() as stack:
        backend, token = free_port(), "t" * 64
        upstream = on_core(LOAD, str(await build("upstream", folder)), "-listen", f"127.0.0.1:{backend}")
        await stack.enter_async_context(running(upstream, port=backend, GOMAXPROCS="1"))
        started = await stack.enter_async_context(
            gateway(UNDER_TEST, INVOKER_URL=f"http://127.0.0.1:{backend}", LOG_LEVEL="error")
        )
        subjects = [
            Subject("the backend alone", f"http://127.0.0.1:{backend}/", token),
            Subject("gateway", f"{started.url}/run/bench", await token_of(started), started.pid),
        ]
        if shutil.which("nginx"):
            subjects.append(await stack.enter_async_context(_nginx(folder, backend, token)))
        reference = go_proxy(folder, UNDER_TEST, backend=backend, token=token, threads=1)
        yield [*subjects, await stack.enter_async_context(reference)]


@asynccontextmanager
async def go_proxy(
    folder: Path, cores: Cores, *, backend: int, token: str, threads: int
) -> AsyncIterator[Subject]:
    """The reference: `threads` run Go code at the same time (GOMAXPROCS)."""
    port = free_port()
    command = [str(await build("proxy", folder)), "-listen", f"127.0.0.1:{port}", "-token", token]
    command += ["-upstream", f"http://127.0.0.1:{backend}", "-log", str(folder / "go.log")]
    async with running(on_core(cores, *command), port=port, GOMAXPROCS=str(threads)) as pid:
        yield Subject("Go ReverseProxy", f"http://127.0.0.1:{port}/run/bench", token, pid)


@asynccontextmanager
async def _nginx(folder: Path, backend: int, token: str) -> AsyncIterator[Subject]:
    port = free_port()
    file = folder / "nginx.conf"
    file.write_text(NGINX.format(folder=folder, backend=backend, port=port, token=token))
    async with running(on_core(UNDER_TEST, "nginx", "-c", str(file), "-p", str(folder)), port=port) as pid:
        yield Subject("nginx", f"http://127.0.0.1:{port}/run/bench", token, pid)
