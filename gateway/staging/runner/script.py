"""The script as a child process: its own session, its limits, its pipes. It starts when it is released."""
# Importing pathlib would double the runner's start-up.
# ruff: noqa: PTH123

import contextlib
import os
import resource
import signal
import sys
from typing import NamedTuple

from gateway.staging.runner.descendants import die_with_parent
from gateway.staging.runner.order import Order

SHELL = "/bin/sh"
MEMORY_SLACK = 2
"""The kernel's own limit is on memory asked for, by each process: so many times what may be used by all. It
stops what is faster than our looking."""


class Script(NamedTuple):
    """`stdout` and `stderr` are reading ends; `release` lets it start; `failure` tells why it could not."""

    pid: int
    stdout: int
    stderr: int
    release: int
    failure: int


def prepare_script(order: Order) -> Script:
    """A child that waits to be released, and ends if nobody does. Raises OSError."""
    stdout, out = os.pipe()
    stderr, err = os.pipe()
    gate, release = os.pipe()
    failure, failed = os.pipe()
    runner = os.getpid()
    pid = os.fork()
    if pid == 0:
        os.close(release)
        try:
            die_with_parent()
            if os.getppid() == runner and os.read(gate, 1):
                _become(order, out, err)
        except BaseException as error:  # nothing may get out of the child
            os.write(failed, str(error).encode("utf-8", "replace")[:500])
        os._exit(127)
    for fd in (out, err, gate, failed):
        os.close(fd)
    return Script(pid, stdout, stderr, release, failure)


def release_script(script: Script) -> str:
    """Let it start. "" once it runs, else why it does not."""
    with contextlib.suppress(BrokenPipeError):
        os.write(script.release, b"\n")
    os.close(script.release)
    with open(script.failure, "rb") as failure:
        return failure.read().decode("utf-8", "replace")


def _become(order: Order, out: int, err: int) -> None:
    os.setsid()
    os.umask(0o022)
    os.chdir(order.folder)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    # Python ignores these two, and a script would inherit that: `yes | head` would not end.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    _limit(order)
    os.execve(SHELL, [SHELL, order.script], order.environment)  # noqa: S606


def _limit(order: Order) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_DATA, (order.memory_bytes * MEMORY_SLACK,) * 2)
        # If the machine runs out of memory, scripts go before the gateway does.
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write("500")
