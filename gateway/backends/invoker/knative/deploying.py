"""Deploying: a manifest brought into the cluster, and out of it. Every step may be repeated."""

from typing import Any

import structlog

from gateway.backends.cluster import Cluster, ClusterConflict
from gateway.backends.invoker.knative.manifest import DEFINITION, PART_OF, Manifest, parts_of
from gateway.domain.problems import NotFound, Unavailable

log = structlog.get_logger(__name__)

GROUP = "/apis/serving.knative.dev/v1"
KEPT_ANNOTATIONS = ("serving.knative.dev/creator", "serving.knative.dev/lastModifier")
"""Knative's own; it refuses to see them changed."""
TRIES = 5

Object = dict[str, Any]


class Deploying:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        namespace = cluster.namespace
        self.services = f"{GROUP}/namespaces/{namespace}/services"
        self._revisions = f"{GROUP}/namespaces/{namespace}/revisions"
        self._parts = tuple(f"/api/v1/namespaces/{namespace}/{kind}" for kind in ("configmaps", "secrets"))

    async def deploy(self, manifest: Manifest) -> Object:
        """The Knative Service as it stands then. Raises Invalid, Forbidden, Unavailable."""
        for path, part in zip(self._parts, (manifest.script, manifest.secrets), strict=True):
            await self._create(path, part)
        for _ in range(TRIES):
            found = await self._deploy_once(manifest)
            if found is not None:
                await self._prune(manifest.service["metadata"]["name"], manifest, found)
                return found
        raise Unavailable("the service's Knative Service is changed by others all the time", retry_after_s=1)

    async def remove(self, name: str) -> None:
        """Fine if there is nothing. Raises Forbidden, Unavailable."""
        await self._cluster.delete(f"{self.services}/{name}", {"propagationPolicy": "Background"})
        await self._remove_parts(name, keep=set())

    async def _deploy_once(self, manifest: Manifest) -> Object | None:
        """None if somebody else came in between."""
        name = manifest.service["metadata"]["name"]
        try:
            standing = await self._cluster.get(f"{self.services}/{name}")
        except NotFound:
            return await self._create(self.services, manifest.service)
        if standing["metadata"].get("annotations", {}).get(DEFINITION) == manifest.definition:
            return standing
        try:
            return await self._cluster.replace(f"{self.services}/{name}", _over(standing, manifest.service))
        except (ClusterConflict, NotFound):
            return None

    async def _create(self, path: str, body: Object) -> Object | None:
        """None if it is there."""
        try:
            return await self._cluster.create(path, body)
        except ClusterConflict:
            return None

    async def _prune(self, name: str, manifest: Manifest, standing: Object) -> None:
        """Remove what no pod will ask for any more: calls go on reaching the last revision that was ready."""
        keep = parts_of(manifest.service["spec"]["template"]["spec"])
        ready = standing.get("status", {}).get("latestReadyRevisionName", "")
        if ready:
            try:
                revision = await self._cluster.get(f"{self._revisions}/{ready}")
                keep |= parts_of(revision["spec"])
            except NotFound:
                pass
        await self._remove_parts(name, keep=keep)

    async def _remove_parts(self, name: str, *, keep: set[str]) -> None:
        for path in self._parts:
            listed = await self._cluster.list(path, f"{PART_OF}={name}")
            for part in listed["items"]:
                if part["metadata"]["name"] not in keep:
                    await self._cluster.delete(f"{path}/{part['metadata']['name']}")


def _over(standing: Object, wanted: Object) -> Object:
    """`wanted` in place of what stands, refused if that changes meanwhile."""
    metadata = wanted["metadata"]
    was = standing["metadata"].get("annotations", {})
    kept = {key: was[key] for key in KEPT_ANNOTATIONS if key in was}
    return {
        **wanted,
        "metadata": {
            **metadata,
            "resourceVersion": standing["metadata"]["resourceVersion"],
            "annotations": {**metadata["annotations"], **kept},
        },
    }
