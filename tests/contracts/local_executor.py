"""What runs scripts on this machine, for the contracts of what is built on it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.executors.process import ProcessExecutor
from gateway.executors.protocol import Executor
from tests.contracts.container_engine import open_engine

LOG_LIMIT = 1 << 20


@asynccontextmanager
async def open_executor(name: str) -> AsyncIterator[Executor]:
    match name:
        case "docker":
            async with open_engine(log_limit=LOG_LIMIT, grace_s=0.4) as docker:
                yield docker
        case _:
            process = ProcessExecutor(path="", log_limit=LOG_LIMIT, grace_s=0.4)
            yield process
            await process.close()
