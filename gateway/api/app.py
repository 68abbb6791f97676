"""The app: the front, and behind it the layers around every endpoint but `/run`, outermost first: CORS, edge,
errors."""

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from gateway.api.access_log import AccessLog
from gateway.api.call_line import CallLine
from gateway.api.edge import Edge
from gateway.api.errors import Errors
from gateway.api.front import Front
from gateway.api.job import Job
from gateway.api.measures import Measures
from gateway.api.operations import Site
from gateway.api.router import build_router
from gateway.api.routes import OPERATIONS
from gateway.api.run import Run
from gateway.api.short import Short
from gateway.backends.connect import Backends

ASKED_HEADERS = ("Authorization", "Content-Type", "Accept", "Prefer", "Idempotency-Key", "X-Request-ID")
TOLD_HEADERS = (
    "Location",
    "X-OSCAR-Job-ID",
    "X-OSCAR-Job-State",
    "X-OSCAR-Route",
    "Server-Timing",
    "X-Request-ID",
    "Retry-After",
    "Preference-Applied",
    "Content-Disposition",
    "Server-Timing",
)


def build_app(backends: Backends) -> ASGIApp:
    """The HTTP API over open backends. Knows nothing of their opening and closing."""
    measures = Measures()
    site = Site(backends, measures, AccessLog(backends.settings.data_dir / "access.log"), OPERATIONS)
    origins = backends.settings.cors_origins.split()
    run = Run(site)
    return Front(
        short=Short(site, run),
        run=run,
        run_for_pages=_shared(run, origins),
        job=_shared(Edge(CallLine(Errors(Job(site)), site), measures), origins),
        rest=_shared(Edge(Errors(build_router(site)), measures), origins),
    )


def _shared(app: ASGIApp, origins: list[str]) -> ASGIApp:
    """Pages of these origins may ask: OSCAR leaves that to an ingress, which a laptop has none of."""
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"],
        allow_headers=ASKED_HEADERS,
        expose_headers=TOLD_HEADERS,
    )
