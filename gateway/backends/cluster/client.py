"""Cluster: what the backends ask of the Kubernetes API, a method a verb. Objects are the API's own JSON."""

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from gateway.backends.cluster.refusals import Expired
from gateway.backends.cluster.sending import Query, Sending
from gateway.backends.cluster.watching import Change, watch
from gateway.domain.problems import NotFound, Problem, Unavailable

Object = dict[str, Any]

REQUEST_S = 30.0
PAGE = 500
LISTINGS = 3


class Cluster:
    """Every `path` is the API's, as `/api/v1/namespaces/x/configmaps`.

    Every method raises NotFound, ClusterConflict, Invalid, TooLarge, Forbidden (QuotaExceeded among it) and
    Unavailable with `retry_after_s`, and returns or raises within REQUEST_S unless it is a stream.
    """

    def __init__(self, connection: Sending, namespace: str) -> None:
        self._connection = connection
        self.namespace = namespace

    async def get(self, path: str, query: Query | None = None) -> Object:
        return await self._ask("GET", path, query=query)

    async def list(self, path: str, label_selector: str = "", *, field_selector: str = "") -> Object:
        """The whole list, got page by page, with the metadata that a watch starts from."""
        for _ in range(LISTINGS):
            try:
                return await self._list_pages(path, label_selector, field_selector)
            except Expired:
                # The pages are of one moment, which was forgotten meanwhile.
                continue
        raise Unavailable("Kubernetes forgot the list while it was read", retry_after_s=1)

    async def create(self, path: str, body: Mapping[str, Any]) -> Object:
        return await self._ask("POST", path, body=body)

    async def create_unread(self, path: str, body: Mapping[str, Any]) -> None:
        """The same for who needs nothing of the answer, which is the whole object and more."""
        async with self._connection.request("POST", path, body=body, total_s=REQUEST_S) as answer:
            await answer.read()

    async def replace(self, path: str, body: Mapping[str, Any]) -> Object:
        """Raises ClusterConflict if `metadata.resourceVersion` is given and not what stands there."""
        return await self._ask("PUT", path, body=body)

    async def patch(
        self, path: str, body: Mapping[str, Any], content_type: str = "application/merge-patch+json"
    ) -> Object:
        return await self._ask("PATCH", path, body=body, content_type=content_type)

    async def delete(self, path: str, body: Mapping[str, Any] | None = None) -> bool:
        """Whether there was something. `body` are DeleteOptions: preconditions, propagation."""
        try:
            await self._ask("DELETE", path, body=body)
        except NotFound:
            return False
        return True

    async def text(
        self, path: str, query: Query | None = None, *, idle_s: float = REQUEST_S
    ) -> AsyncGenerator[bytes]:
        """A pod's log, in pieces as they come. Unavailable after `idle_s` seconds without a byte."""
        async with self._connection.request("GET", path, query=query, idle_s=idle_s) as answer:
            async for piece in answer.content.iter_any():
                yield piece

    def watch(
        self,
        path: str,
        label_selector: str = "",
        *,
        report: Callable[[Problem | None], None] = lambda _: None,
    ) -> AsyncGenerator[Change]:
        """The whole list, then every change, for ever; the whole list anew (SYNCED) if changes were missed.

        Never raises Problems: `report` is told what keeps it from seeing changes, and None when it sees them
        again.
        """
        return watch(self.list, self._connection, path, label_selector, report=report)

    async def _list_pages(self, path: str, label_selector: str, field_selector: str) -> Object:
        query: dict[str, str | int] = {"limit": PAGE}
        if label_selector:
            query["labelSelector"] = label_selector
        if field_selector:
            query["fieldSelector"] = field_selector
        whole = page = await self._ask("GET", path, query=query)
        while token := page["metadata"].get("continue"):
            page = await self._ask("GET", path, query={**query, "continue": token})
            whole["items"] += page["items"]
        whole["metadata"] = page["metadata"]
        return whole

    async def _ask(self, method: str, path: str, **rest: Any) -> Object:
        async with self._connection.request(method, path, total_s=REQUEST_S, **rest) as answer:
            found: Object = await answer.json(content_type=None)
            return found
