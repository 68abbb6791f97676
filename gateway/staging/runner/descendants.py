"""The descendants: every process the script brought into being, found below us in the process tree. Best on
Linux; elsewhere there is the script's process group only."""
# Importing pathlib would double the runner's start-up.
# ruff: noqa: PTH123, PTH208

import contextlib
import ctypes
import os
import signal
import time

_SET_CHILD_SUBREAPER = 36
_SET_PARENT_DEATH_SIGNAL = 1
_PAGE = os.sysconf("SC_PAGE_SIZE")
KILL_LIMIT_S = 10.0
"""A process that does not go in this time hangs in the kernel."""

try:
    _libc: ctypes.CDLL | None = ctypes.CDLL(None)
except OSError:
    _libc = None


def adopt_orphans() -> None:
    """Descendants whose parent ends become our children, so that none gets away."""
    _prctl(_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """For a child, before it becomes the script: without its runner nothing holds it to its limits."""
    _prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    if _libc is not None and hasattr(_libc, "prctl"):
        _libc.prctl(option, value, 0, 0, 0)


def descendants() -> list[int]:
    """Their ids, parents first."""
    found: list[int] = []
    waiting = [os.getpid()]
    while waiting:
        children = _children(waiting.pop())
        found += children
        waiting += children
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
    return found


def resident_bytes(limit: int) -> int:
    """The memory they use together. Pages they share are counted once only where the plain sum is over
    `limit`: looking closer costs more."""
    pids = descendants()
    plain = sum(_resident(pid) for pid in pids)
    return plain if plain <= limit else sum(_proportional(pid) for pid in pids)


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _proportional(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            return next(int(line.split()[1]) << 10 for line in file if line.startswith(b"Pss:"))
    except (OSError, StopIteration):
        return _resident(pid)


def signal_all(group: int, number: int) -> None:
    for pid in descendants():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def end_all(group: int) -> None:
    """Kill whatever is left and wait until it is gone."""
    until = time.monotonic() + KILL_LIMIT_S
    while time.monotonic() < until:
        signal_all(group, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        except ChildProcessError:
            return
        time.sleep(0.002)
