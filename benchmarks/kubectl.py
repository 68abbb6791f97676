"""Creates by kubectl: the Jobs of a namespace once more, as the reference for ours."""

import asyncio
import json
import secrets
import tempfile
import time
from pathlib import Path
from typing import Any

from gateway.backends.cluster import Cluster

CLIENTS = 8
LABEL = "oscar-gateway/attempt"


async def create_again(cluster: Cluster, kubeconfig: str, prefix: str) -> float:
    """Jobs a second: those of that prefix once more, under other names, by eight kubectl at once."""
    listed = await cluster.list(f"/apis/batch/v1/namespaces/{cluster.namespace}/jobs")
    again = [_anew(one) for one in listed["items"] if one["metadata"]["name"].startswith(prefix)]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        files = []
        for client in range(CLIENTS):
            items = again[client::CLIENTS]
            file = Path(folder) / f"{client}.json"
            file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
            files.append(str(file))
        began = time.perf_counter()
        await asyncio.gather(*(_create(file, kubeconfig, cluster.namespace) for file in files))
        return len(again) / (time.perf_counter() - began)


async def _create(file: str, kubeconfig: str, namespace: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *("kubectl", "--kubeconfig", kubeconfig, "-n", namespace),
        *("create", "--validate=false", "-f", file),
        stdout=asyncio.subprocess.DEVNULL,
    )
    if await process.wait():
        raise SystemExit("kubectl create failed")


def _anew(job: dict[str, Any]) -> dict[str, Any]:
    metadata = {part: job["metadata"].get(part, {}) for part in ("labels", "annotations")}
    metadata["labels"] = {name: text for name, text in metadata["labels"].items() if name != LABEL}
    spec = {name: part for name, part in job["spec"].items() if name != "selector"}
    labels = spec["template"]["metadata"]["labels"]
    spec["template"]["metadata"]["labels"] = {
        name: text for name, text in labels.items() if "kubernetes.io" not in name and "-uid" not in name
    }
    for own in ("controller-uid", "job-name", LABEL):
        spec["template"]["metadata"]["labels"].pop(own, None)
    name = f"again-{secrets.token_hex(8)}"
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata | {"name": name}, "spec": spec}
