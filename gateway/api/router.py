"""The router: from a path and a method to an operation, its caller asked for before it is reached."""

from collections.abc import Iterable

from starlette.datastructures import Headers, QueryParams
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api.edge import ROUTE
from gateway.api.errors import PAGE_NOT_FOUND
from gateway.api.guard import identify
from gateway.api.incoming import Incoming, header
from gateway.api.operations import Ask, Operation, Site
from gateway.domain.problems import NotFound
from gateway.wire.departure import DEPARTURE


def build_router(site: Site) -> ASGIApp:
    """Raises NotFound, as OSCAR, for a path or a method there is not. Operations without an answer are
    served elsewhere."""
    by_path: dict[str, list[Operation]] = {}
    for operation in site.operations:
        if operation.answer is not None:
            by_path.setdefault(operation.path, []).append(operation)
    routes = [Route(path, _Path(site, path, operations)) for path, operations in by_path.items()]
    return Router(routes, redirect_slashes=False, default=_not_found)


class _Path:
    """The operations of one path, by method."""

    def __init__(self, site: Site, path: str, operations: Iterable[Operation]) -> None:
        self._site = site
        self._path = path
        self._operations = {operation.method: operation for operation in operations}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        operation = self._operations.get(scope["method"])
        if operation is None or operation.answer is None:
            raise NotFound(PAGE_NOT_FOUND)
        scope[ROUTE] = self._path
        backends = self._site.backends
        ask = Ask(
            site=self._site,
            caller=await identify(backends, operation.access, header(scope, b"authorization")),
            path=scope["path_params"],
            query=QueryParams(scope["query_string"]),
            headers=Headers(scope=scope),
            incoming=Incoming(
                receive,
                limit=operation.most(backends.settings),
                headers=scope["headers"],
                departure=scope.get(DEPARTURE),
            ),
        )
        response = await operation.answer(ask)
        await response(scope, receive, send)


async def _not_found(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise NotFound(PAGE_NOT_FOUND)
