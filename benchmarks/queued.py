"""Memory of a gateway and of a worker with many jobs queued, in the cluster form: one attempt may live, all
others wait for its place. QUEUED_JOBS is how many.

The jobs come as notifications of RECORDS objects each, which is the quickest way in.
"""

import json
import os
import time
from dataclasses import replace

from benchmarks.cluster_form import cluster_form
from benchmarks.gateway import Connection
from benchmarks.notices import INPUT, notice
from benchmarks.processes import resident_bytes
from benchmarks.table import show

QUEUED = int(os.environ.get("QUEUED_JOBS", "100000"))
FEW = 1000
RECORDS = 100


async def measure() -> None:
    async with cluster_form() as form, form.worker(JOBS_LIVE_LIMIT="1") as worker:
        # By script: no input that is not there ends a job.
        await form.deploy("queued", input=INPUT, file_stage_in=True)
        teller = await replace(
            form.gateway, authorization=f"Bearer {form.settings['EVENTS_TOKEN']}"
        ).connect()
        processes = {"gateway": form.gateway.pid, "worker": worker}
        await _tell(teller, range(FEW))
        await form.seen.count(1)
        before = _resident_mib(processes)
        began = time.perf_counter()
        await _tell(teller, range(FEW, QUEUED))
        took_s = time.perf_counter() - began
        after = _resident_mib(processes)
        teller.writer.close()
    for name, few in before.items():
        show(f"memory of the {name}", "MiB", {f"{QUEUED} queued": [after[name]], f"{FEW} queued": [few]})
    print(f"accepted meanwhile: {(QUEUED - FEW) / took_s:.0f}/s")


def _resident_mib(processes: dict[str, int]) -> dict[str, float]:
    return {name: resident_bytes(pid) / 2**20 for name, pid in processes.items()}


async def _tell(teller: Connection, numbers: range) -> None:
    for first in range(numbers.start, numbers.stop, RECORDS):
        some = range(first, min(first + RECORDS, numbers.stop))
        body = notice(*((number, f"{number:032x}") for number in some))
        status, answer = await teller.request("POST", "/events", body)
        if status != 200 or len(json.loads(answer)["accepted"]) != len(some):
            raise SystemExit(f"refused with {status}: {answer[:200].decode()}")
