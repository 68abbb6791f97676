"""What the runner is told and what it answers: two JSON files in the workspace, written whole or not at
all."""
# Importing pathlib would double the runner's start-up.
# ruff: noqa: PTH105, PTH108, PTH123

import json
import os
from typing import NamedTuple

from gateway.staging import layout


class Order(NamedTuple):
    """`environment` is complete. Times in seconds, sizes in bytes. `tied`: end the script when standard input
    closes."""

    script: str
    folder: str
    environment: dict[str, str]
    limit_s: float
    grace_s: float
    memory_bytes: int
    stdout_limit: int
    log_limit: int
    tied: bool


class Exit(NamedTuple):
    """`reason` is one of `domain.job.EndReason`."""

    reason: str
    code: int | None
    detail: str
    took_s: float


EXIT_SPACE = 4096
"""Taken from the disk before the script can fill it, bytes."""


def write_order(workspace: str, order: Order) -> None:
    """Raises OSError."""
    write_whole(workspace, layout.ORDER, json.dumps(order._asdict()))


def take_order(workspace: str) -> Order:
    """Read it and remove it: it holds the service's secrets. Raises OSError."""
    path = f"{workspace}/{layout.ORDER}"
    with open(path, "rb") as file:
        order = Order(**json.load(file))
    os.unlink(path)
    return order


def reserve_exit(workspace: str) -> None:
    """Raises OSError."""
    _write(f"{workspace}/{layout.EXIT}.new", b" " * EXIT_SPACE, durable=False)


def write_exit(workspace: str, ended: Exit, *, durable: bool) -> None:
    """Into the reserved space, so that it works on a full disk. Raises OSError."""
    path = f"{workspace}/{layout.EXIT}"
    _write(f"{path}.new", json.dumps(ended._asdict()).encode().ljust(EXIT_SPACE), durable=durable)
    os.replace(f"{path}.new", path)


def read_exit(workspace: str) -> Exit | None:
    """None if it has not ended, or ended without a readable word. Raises OSError."""
    try:
        with open(f"{workspace}/{layout.EXIT}", "rb") as file:
            return Exit(**json.load(file))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def read_stop(workspace: str) -> str:
    """The reason somebody asked it to end for, or "". Raises OSError."""
    try:
        with open(f"{workspace}/{layout.STOP}") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def write_whole(workspace: str, name: str, text: str) -> None:
    """Raises OSError."""
    path = f"{workspace}/{name}"
    _write(f"{path}.new", text.encode(), durable=False)
    os.replace(f"{path}.new", path)


def _write(path: str, content: bytes, *, durable: bool) -> None:
    """Over what is there, whose space on the disk stays taken."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        size = len(content)
        while content:
            content = content[os.write(fd, content) :]
        os.ftruncate(fd, size)
        if durable:
            os.fsync(fd)
    finally:
        os.close(fd)
