"""Who is measured by calls that are passed on, and what asks them: wrk, as a case says."""

import asyncio
import json
import os
import re
import socket
from dataclasses import dataclass, field
from typing import Literal

from benchmarks.gateway import Gateway, deploy
from benchmarks.processes import LOAD, REFERENCE, Cores, cpu_s, on_core
from benchmarks.table import show

RUNS = int(os.environ.get("BENCH_RUNS", "5"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "3"))
How = Literal["", "every id another", "every address another", "every head read anew", "in chunks"]
ONLY = os.environ.get("BENCH_CASES", "")
"""Of cases, those whose name has this in it."""


@dataclass(frozen=True)
class Case:
    """What wrk does: bytes up and down a call, over how many connections. `how`: every head differs from the
    one before it, by its `X-Request-ID`, its `X-Forwarded-For` or its `Forwarded`, with which none is
    remembered; or the body comes in chunks."""

    up: int
    connections: int
    down: int = 256
    how: How = ""

    def __str__(self) -> str:
        down = f", {_size(self.down)} down" if self.down != 256 else ""
        how = f", {self.how}" if self.how else ""
        return f"{_size(self.up)}{down}, {self.connections} connections{how}"


def _size(bytes_: int) -> str:
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if bytes_ >= unit:
            return f"{bytes_ // unit} {name}"
    return f"{bytes_} B"


@dataclass
class Subject:
    """Who is measured: where, with which token, and the process whose CPU time counts, its children's with it
    (0: not looked at)."""

    name: str
    url: str
    token: str
    pid: int = 0
    rates: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)


async def compare(subjects: list[Subject], case: Case, *, asker: Cores = LOAD) -> None:
    """Alternating, as often as it is told, and shown; the last one is the reference."""
    if ONLY not in str(case):
        return
    for subject in subjects:
        subject.rates, subject.cpu_us = [], []
    for _ in range(RUNS):
        for subject in subjects:
            await load(subject, case, asker=asker)
    title = f"calls passed on, {case}"
    show(title, "calls/s", {subject.name: subject.rates for subject in subjects})
    looked_at = [subject for subject in subjects if subject.pid]
    show(f"{title}: CPU", "us/call", {subject.name: subject.cpu_us for subject in looked_at})


async def load(subject: Subject, case: Case, *, asker: Cores = LOAD) -> None:
    """SystemExit if anything but the answer came."""
    before_s = cpu_s(subject.pid) if subject.pid else 0.0
    threads = 1 if asker == LOAD else 2
    command = ["wrk", f"-t{threads}", f"-c{case.connections}", f"-d{SECONDS}s"]
    command += ["-s", str(REFERENCE / "post.lua"), f"{subject.url}?bytes={case.down}"]
    wrk = await asyncio.create_subprocess_exec(
        *on_core(asker, *command),
        env={
            "PATH": os.environ["PATH"],
            "TOKEN": subject.token,
            "BODY_BYTES": str(case.up),
            "HOW": case.how,
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


async def token_of(started: Gateway) -> str:
    connection = await started.connect()
    await deploy(connection, "bench", "true")
    _, answer = await connection.request("GET", "/system/services/bench")
    connection.writer.close()
    token: str = json.loads(answer)["token"]
    return token


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
