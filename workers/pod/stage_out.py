"""Stage out: beside the script until it ended, and then: its outputs and its result to where they belong, its
ending to the gateway. Keeps the script's time, too.

`python -m workers.pod.stage_out`, with ATTEMPT, GATEWAY_URL and CLAIM in the environment.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import closing

from gateway.backends.launcher.stage_out import stage_out
from gateway.domain.job import AttemptId, EndReason
from gateway.domain.work_order import read_work_order
from gateway.executors.protocol import Ended
from gateway.staging.workspace import Workspace
from workers.pod import places
from workers.pod.gateway import Gateway
from workers.pod.last_words import say
from workers.pod.script import Script
from workers.pod.store import PodStore

TOLD_PATIENCE_S = 10.0
"""For the report of a pod that was told to end: it is killed soon."""


async def main(environment: Mapping[str, str]) -> int:
    """0 if all was stored and told."""
    attempt = AttemptId(environment["ATTEMPT"])
    gateway = Gateway(environment["GATEWAY_URL"], attempt, environment["CLAIM"])
    order = read_work_order(places.ORDER.read_bytes())
    workspace = Workspace(places.ROOT)
    ended = await _script_ended(workspace, stdout_limit=order.log_limit, limit_s=order.limit_s)
    # An empty log: what it ends up with is what we have to add to the container's own.
    workspace.log.touch()
    with closing(PodStore(gateway, attempt, order.own_bucket, places.OWN, verify=order.verify)) as store:
        ending = await stage_out(
            store, order.own_bucket, order, workspace, ended, output_limit=order.output_limit
        )
    told = ended.reason is EndReason.INTERRUPTED
    kept = await say(gateway, ending, notes=store.notes, patience_s=TOLD_PATIENCE_S if told else 600.0)
    return 0 if kept and ending.reason is not EndReason.STAGING else 1


async def _script_ended(workspace: Workspace, *, stdout_limit: int, limit_s: float) -> Ended:
    script = Script(workspace, stdout_limit=stdout_limit)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, script.tell)
    return await script.until_end(limit_s)


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(asyncio.run(main(os.environ)))
