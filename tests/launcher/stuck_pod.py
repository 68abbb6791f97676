"""A pod's stage-out that waits for ever in the middle of a large output, to be killed there."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway.backends.launcher.stage_out import stage_out
from gateway.domain.job import AttemptId, EndReason
from gateway.executors.protocol import Ended
from gateway.staging.workspace import Workspace
from workers.pod.gateway import Gateway
from workers.pod.store import PodStore


class Stuck(Gateway):
    async def links(self, wishes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        if wishes[0].get("part") == 5:
            print("four parts are put", flush=True)
            await asyncio.Event().wait()
        return await super().links(wishes)


async def main(url: str, attempt: AttemptId, claim: str, folder: Path) -> None:
    gateway = Stuck(url, attempt, claim)
    order = await gateway.order()
    store = PodStore(gateway, attempt, order.own_bucket, folder, verify=True)
    ended, workspace = Ended(EndReason.EXITED, 0), Workspace(folder / "oscar")
    await stage_out(store, order.own_bucket, order, workspace, ended, output_limit=order.output_limit)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], AttemptId(sys.argv[2]), sys.argv[3], Path(sys.argv[4])))
