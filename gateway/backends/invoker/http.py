"""Calls answered by an HTTP server that was there before us: each service's script is behind one address,
told apart by the `Host` header. Gives up deploying: who runs that server does it."""

from collections.abc import Callable
from typing import Self

from gateway.backends.invoker.deadlines import Deadlines
from gateway.backends.invoker.forward import Forward, call_head
from gateway.backends.invoker.protocol import Call, DeploymentStatus, InstanceLog, Standing
from gateway.backends.invoker.upstream.message import Origin
from gateway.backends.invoker.upstream.upstream import Upstream
from gateway.domain.deployed import Deployed
from gateway.domain.problems import Unavailable

CONNECT_TIMEOUT_S = 5.0
IDLE_TIMEOUT_S = 60.0
CONNECTIONS = 1024


class HttpInvoker:
    """An async context manager; it opens no connection before the first call."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = Upstream(
            connect_timeout_s=CONNECT_TIMEOUT_S,
            idle_timeout_s=IDLE_TIMEOUT_S,
            per_origin_limit=CONNECTIONS,
        )
        self._origin = Origin(host, port)
        self._deadlines = Deadlines()

    async def __aenter__(self) -> Self:
        await self._upstream.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._upstream.__aexit__()

    async def prepare(self, deployed: Deployed) -> None:
        """Nothing: the server knows the service, or answers that it does not."""

    async def retire(self, name: str) -> None:
        """Nothing."""

    def invoke(self, call: Call) -> Forward:
        head = call_head(call, call.deployed.service.name)
        exchange = self._upstream.exchange(self._origin, head, call.body)
        return Forward(exchange, self._deadlines, limit_s=call.limit_s)

    def begin(self, call: Call, told: Callable[[], None]) -> Forward | None:
        forward = self.invoke(call)
        return forward if forward.begin(told) else None

    def standing(self, name: str) -> Standing:  # noqa: ARG002 - the server does not tell
        return Standing.WARM

    async def status(self, deployed: Deployed) -> DeploymentStatus:  # noqa: ARG002 - one server, one state
        try:
            await self.ready()
        except Unavailable as problem:
            return DeploymentStatus("unavailable", reason=problem.detail)
        return DeploymentStatus("ready")

    async def log(self, deployed: Deployed, *, tail: int) -> InstanceLog:  # noqa: ARG002 - it has none
        return InstanceLog(available=False, message="the server that answers calls keeps its own log")

    async def ready(self) -> None:
        await self._upstream.reach(self._origin)
