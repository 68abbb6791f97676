"""Calls passed on to a backend, against a tuned Go reverse proxy, nginx and the backend alone: who is
measured has one core, who asks and who answers the other. Alternating, five runs each.

Rates are only as good as the machine is quiet; the CPU time a call is what to look at on a busy one.
"""

import asyncio
import json
import os
import re
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.gateway import Gateway, deploy, gateway
from benchmarks.processes import LOAD, REFERENCE, UNDER_TEST, build, cpu_s, on_core, require, running
from benchmarks.table import show

RUNS, SECONDS = 5, 3
CASES = [
    *[(256, 16, False), (256, 64, False), (64 << 10, 16, False), (64 << 10, 64, False)],
    *[(256, 16, True), (256, 64, True), (64 << 10, 16, True)],
]
"""Body bytes, connections, and whether every head differs from the one before it, by an id."""

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


@dataclass
class Subject:
    """Who is measured: where, with which token, and the process whose CPU time counts (0: not looked at)."""

    name: str
    url: str
    token: str
    pid: int = 0
    rates: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)


async def measure() -> None:
    require("go", "wrk", "taskset")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        async with _subjects(Path(folder)) as subjects:
            for body, connections, varied in CASES:
                for subject in subjects:
                    subject.rates, subject.cpu_us = [], []
                for _ in range(RUNS):
                    for subject in subjects:
                        await load(subject, body, connections, varied=varied)
                heads = ", every head another" if varied else ""
                title = f"calls passed on, {body} bytes, {connections} connections{heads}"
                show(title, "calls/s", {subject.name: subject.rates for subject in subjects})
                looked_at = [subject for subject in subjects if subject.pid]
                show(f"{title}: CPU", "us/call", {subject.name: subject.cpu_us for subject in looked_at})


@asynccontextmanager
async def _subjects(folder: Path) -> AsyncIterator[list[Subject]]:
    """The Go proxy last: it is the reference."""
    async with AsyncExitStack() as stack:
        backend, proxy, token = free_port(), free_port(), "t" * 64
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
        go = [str(await build("proxy", folder)), "-listen", f"127.0.0.1:{proxy}", "-token", token]
        go += ["-upstream", f"http://127.0.0.1:{backend}", "-log", str(folder / "go.log")]
        pid = await stack.enter_async_context(running(on_core(UNDER_TEST, *go), port=proxy, GOMAXPROCS="1"))
        yield [*subjects, Subject("Go ReverseProxy", f"http://127.0.0.1:{proxy}/run/bench", token, pid)]


@asynccontextmanager
async def _nginx(folder: Path, backend: int, token: str) -> AsyncIterator[Subject]:
    port = free_port()
    file = folder / "nginx.conf"
    file.write_text(NGINX.format(folder=folder, backend=backend, port=port, token=token))
    async with running(on_core(UNDER_TEST, "nginx", "-c", str(file), "-p", str(folder)), port=port) as pid:
        yield Subject("nginx", f"http://127.0.0.1:{port}/run/bench", token, pid)


async def token_of(started: Gateway) -> str:
    connection = await started.connect()
    await deploy(connection, "bench", "true")
    _, answer = await connection.request("GET", "/system/services/bench")
    connection.writer.close()
    token: str = json.loads(answer)["token"]
    return token


async def load(subject: Subject, body: int, connections: int, *, varied: bool = False) -> None:
    """SystemExit if anything but the answer came."""
    before_s = cpu_s(subject.pid) if subject.pid else 0.0
    command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "-s", str(REFERENCE / "post.lua")]
    wrk = await asyncio.create_subprocess_exec(
        *on_core(LOAD, *command, subject.url),
        env={
            "PATH": os.environ["PATH"],
            "TOKEN": subject.token,
            "BODY_BYTES": str(body),
            **({"VARIED": "1"} if varied else {}),
        },
        stdout=asyncio.subprocess.PIPE,
    )
    told = (await wrk.communicate())[0].decode()
    total = re.search(r"(\d+) requests in", told)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", told)
    if total is None or rate is None or "Non-2xx" in told or "Socket errors" in told:
        raise SystemExit(f"{subject.name}: {told}")
    subject.rates.append(float(rate[1]))
    if subject.pid:
        subject.cpu_us.append((cpu_s(subject.pid) - before_s) / max(1, int(total[1])) * 1e6)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
