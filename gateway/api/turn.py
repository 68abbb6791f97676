"""A turn: one call's, from its head to its place in measures and access log."""

from dataclasses import dataclass
from time import perf_counter

from starlette.types import Scope

from gateway.api.call_line import note_call
from gateway.api.errors import CLIENT_GONE
from gateway.api.measures import UNKNOWN
from gateway.api.operations import Site

PATTERN = "/run/{service}"


@dataclass(slots=True)
class Turn:
    """`began` by the clock of `perf_counter`; `service` is its name once it is known to be one, `whose` the
    caller among whose calls it counts. `parked`: it goes on without the task that it began with."""

    scope: Scope
    request_id: bytes
    began: float
    service: str = UNKNOWN
    whose: str = ""
    parked: bool = False

    def end(self, site: Site, *, status: int, outcome: str) -> None:
        """Status 0 is a client that went away."""
        took_s = perf_counter() - self.began
        site.measures.called(service=self.service, outcome=outcome)
        site.measures.answered(
            method=self.scope["method"], route=PATTERN, status=status or CLIENT_GONE, took_s=took_s
        )
        note_call(site, self.scope, status=status, took_s=took_s)
