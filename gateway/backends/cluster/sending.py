"""How one request goes to the Kubernetes API: what client and watching ask of a connection."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import aiohttp

Query = Mapping[str, str | int]


class Sending(Protocol):
    def request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        total_s: float | None = None,
        idle_s: float | None = None,
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """A successful answer, to be read within the block. Raises Problems, then and while it is read.

        `total_s` bounds the whole of it, `idle_s` every silence.
        """
        ...
