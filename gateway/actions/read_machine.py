"""Read the machine this runs on: how much processor and memory there is, and how much is free."""

import platform
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Machine:
    """Processor in millicores, memory in bytes; `gateway_since` is when this process began, seconds since
    1970."""

    name: str
    cpu: int
    cpu_free: int
    memory: int
    memory_free: int
    gateway_since: float


def read_machine() -> Machine:
    """As it is now; processor use is that since the last reading, 0 at the first."""
    cpu = 1000 * (psutil.cpu_count() or 1)
    memory = psutil.virtual_memory()
    return Machine(
        name=platform.node() or "localhost",
        cpu=cpu,
        cpu_free=int(cpu * (100 - psutil.cpu_percent(interval=None)) / 100),
        memory=int(memory.total),
        memory_free=int(memory.available),
        gateway_since=psutil.Process().create_time(),
    )
