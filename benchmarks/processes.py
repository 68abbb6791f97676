"""Processes of a benchmark, each on the core it is given, so that who is compared has the same one."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

UNDER_TEST, LOAD = 0, 1
"""The core of what is measured; the core of who asks and of what stands behind."""

Cores = int | str
"""One, or several as taskset writes them."""
BOTH = f"{UNDER_TEST},{LOAD}"

REFERENCE = Path(__file__).parent / "reference"
PORT_S = 10.0


def on_core(core: Cores, *command: str) -> list[str]:
    return ["taskset", "-c", str(core), *command]


def require(*programs: str) -> None:
    """SystemExit, naming what is not installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise SystemExit(f"not installed: {', '.join(missing)}")


@asynccontextmanager
async def running(command: Sequence[str], *, port: int, **environment: str) -> AsyncIterator[int]:
    """Its process id, once it listens on the port; ended at the end."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={"PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await _listening(port)
        yield process.pid
    finally:
        process.terminate()
        await process.wait()


async def _listening(port: int) -> None:
    async with asyncio.timeout(PORT_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                return


async def build(name: str, folder: Path) -> Path:
    """A Go program of `benchmarks/reference`."""
    binary = folder / name
    building = await asyncio.create_subprocess_exec(
        "go", "build", "-o", str(binary), str(REFERENCE / f"{name}.go"), cwd=folder
    )
    if await building.wait():
        raise SystemExit(f"{name}.go was not built")
    return binary


def cpu_s(pid: int) -> float:
    """What the process and its living children have used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = [
        int(child)
        for file in Path(f"/proc/{pid}/task").glob("*/children")
        for child in file.read_text().split()
    ]
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") + sum(map(cpu_s, children))


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
