"""Stage in: the pod's first container. Shows the claim, lays out what the order says, fetches the input.

`python -m workers.pod.stage_in`, with ATTEMPT, GATEWAY_URL and CLAIM in the environment.
"""

import asyncio
import os
import shlex
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from gateway.backends.launcher.stage_in import stage_in
from gateway.domain.job import AttemptId, Ending, EndReason
from gateway.domain.problems import NotFound, Problem
from gateway.domain.work_order import WorkOrder
from gateway.staging import layout
from gateway.staging.disk import disk_problems
from gateway.staging.workspace import Workspace
from workers.pod import places
from workers.pod.gateway import Gateway
from workers.pod.last_words import say
from workers.pod.store import PodStore

REPORT_PATIENCE_S = 60.0


async def main(environment: Mapping[str, str]) -> int:
    attempt = AttemptId(environment["ATTEMPT"])
    gateway = Gateway(environment["GATEWAY_URL"], attempt, environment["CLAIM"])
    # The script's user may be anybody, and has to write where we made folders.
    os.umask(0)
    try:
        await _stage_in(gateway, attempt)
    except Problem as problem:
        print(problem.detail, file=sys.stderr)  # noqa: T201
        reason = EndReason.INPUT_GONE if isinstance(problem, NotFound) else EndReason.STAGING
        await say(gateway, Ending(attempt, reason, detail=problem.detail), patience_s=REPORT_PATIENCE_S)
        return 1
    return 0


async def _stage_in(gateway: Gateway, attempt: AttemptId) -> None:
    order = await gateway.order()
    workspace = Workspace(places.ROOT)
    with disk_problems("laying out the pod's workspace"):
        places.ORDER.write_bytes(order.to_json())
        _lay_out(workspace, order)
    with closing(PodStore(gateway, attempt, order.own_bucket, places.OWN, verify=order.verify)) as store:
        occasion = await stage_in(store, order.own_bucket, order.work, workspace)
    variables = {**order.environment, "INPUT_FILE_PATH": f"{workspace.input_dir}/{occasion.input_file}"}
    with disk_problems("writing the script's environment"):
        places.ENVIRONMENT.write_bytes(exports(variables))


def _lay_out(workspace: Workspace, order: WorkOrder) -> None:
    """Raises OSError."""
    for folder in (workspace.input_dir, workspace.output_dir, workspace.script.parent, places.RUN):
        folder.mkdir(exist_ok=True)
    workspace.script.write_text(order.script, encoding="utf-8", errors="surrogatepass")
    (workspace.root / layout.CONFIG).write_text(order.config, encoding="utf-8")
    for pipe in (places.ALIVE, places.STOP, places.PIPE, places.STDOUT):
        os.mkfifo(pipe, 0o666)
    places.RUNNER.write_bytes((Path(__file__).parent / "runner.sh").read_bytes())


def exports(variables: Mapping[str, str]) -> bytes:
    """Lines that a POSIX shell sets these variables by."""
    lines = (f"export {name}={shlex.quote(text)}\n" for name, text in variables.items())
    return "".join(lines).encode("utf-8", "surrogateescape")


if __name__ == "__main__":
    sys.exit(asyncio.run(main(os.environ)))
