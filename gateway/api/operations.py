"""Operations: what a method on a path does, who may ask for it, and how it is described. The router,
`/openapi.json` and the tests read the same table of them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter

from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response

from gateway.api.access_log import AccessLog
from gateway.api.guard import Access
from gateway.api.incoming import Incoming
from gateway.api.measure_files import MeasureFiles
from gateway.api.measures import Measures
from gateway.backends.connect import Backends
from gateway.backends.identity.protocol import Caller
from gateway.settings import Settings

Handler = Callable[["Ask"], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Operation:
    """`answer` is None for the raw endpoints, which the front reaches before the router. `takes` says what
    the body is, "" without one; `answers` what a success brings."""

    method: str
    path: str
    answer: Handler | None
    summary: str
    access: Access = Access.ADMINISTRATOR
    answers: Mapping[int, str] = field(default_factory=lambda: {200: "JSON"})
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    takes: str = ""
    most: Callable[[Settings], int] = attrgetter("body_limit")
    """Of a body, bytes."""


@dataclass(frozen=True, slots=True)
class Site:
    """What all endpoints share."""

    backends: Backends
    measures: Measures
    measure_files: MeasureFiles | None
    """Where other processes share the port."""
    access_log: AccessLog
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, its caller known. `path` has the path's parameters, decoded."""

    site: Site
    caller: Caller
    path: Mapping[str, str]
    query: QueryParams
    headers: Headers
    incoming: Incoming

    @property
    def backends(self) -> Backends:
        return self.site.backends
