"""The gateway's command line: what may be said there instead of in the environment."""

import argparse
from collections.abc import Sequence
from typing import NamedTuple


class Asked(NamedTuple):
    """`given` are settings by their environment names; `process` is which of several this one is, 0 for the
    one that is started by people."""

    given: dict[str, str]
    process: int


def read_command_line(arguments: Sequence[str]) -> Asked:
    """Exits with 2 and a line that says why if it cannot be understood."""
    parser = argparse.ArgumentParser(prog="python -m gateway", description="Serves until SIGTERM.")
    parser.add_argument("--workers", metavar="N", help="processes on one port; over GATEWAY_PROCESSES")
    parser.add_argument("--process", type=int, default=0, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    return Asked({} if asked.workers is None else {"GATEWAY_PROCESSES": asked.workers}, asked.process)
