"""Last words: the attempt's ending to the gateway, and in short to the pod's own status, for a watch that
finds no report."""

import json
import sys
from contextlib import suppress
from dataclasses import asdict, replace

from gateway.domain.job import Ending
from gateway.domain.problems import Problem
from workers.pod import places
from workers.pod.gateway import Gateway

MESSAGE_BYTES = 4096
"""What Kubernetes keeps of it."""


async def say(gateway: Gateway, ending: Ending, *, notes: str = "", patience_s: float = 600.0) -> bool:
    """Whether the gateway has it."""
    write_message(ending)
    report = json.dumps({"ending": asdict(ending), "notes": notes}).encode()
    try:
        await gateway.report(report, patience_s=patience_s)
    except Problem as problem:
        print(f"not reported: {problem.detail}", file=sys.stderr)  # noqa: T201
        return False
    return True


def write_message(ending: Ending) -> None:
    """With the list of outputs as far as there is room: all of it or none."""
    whole, short = ending, replace(ending, kept=replace(ending.kept, delivered=()))
    for told in (whole, short, replace(short, detail=short.detail[:200])):
        message = json.dumps(asdict(told)).encode()
        if len(message) <= MESSAGE_BYTES:
            break
    # A full disk takes last words from us, not the report.
    with suppress(OSError):
        places.TERMINATION_LOG.write_bytes(message)
