"""Runs the benchmarks named, or all."""

import asyncio
import sys

from benchmarks import (
    accept,
    call,
    drain,
    held,
    jobs,
    knative,
    ledger,
    passing,
    pod,
    queue,
    queued,
    receive,
    reconcile,
    services,
    spread,
    start,
    steady,
    streaming,
    together,
)

BENCHMARKS = {
    "start": start.measure,
    "accept": accept.measure,
    "ledger": ledger.measure,
    "queue": queue.measure,
    "call": call.measure,
    "held": held.measure,
    "pod": pod.measure,
    "knative": knative.measure,
    "jobs": jobs.measure,
    "drain": drain.measure,
    "queued": queued.measure,
    "passing": passing.measure,
    "together": together.measure,
    "services": services.measure,
    "spread": spread.measure,
    "steady": steady.measure,
    "streaming": streaming.measure,
    "receive": receive.measure,
    "reconcile": reconcile.measure,
}
"""`passing` and `services` need Go and wrk, `receive` and `reconcile` a MinIO, `ledger`
PostgreSQL, `queue` RabbitMQ, `knative` a cluster, `jobs`, `drain` and `queued` all of these but Knative,
`together` all but a cluster."""


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    for name in names or BENCHMARKS:
        asyncio.run(BENCHMARKS[name]())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
