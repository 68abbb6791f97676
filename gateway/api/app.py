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
from gateway.api.measure_files import MeasureFiles
from gateway.api.measures import Measures
from gateway.api.operations import Site
from gateway.api.router import build_router
from gateway.api.routes import OPERATIONS
from gateway.api.run import Run
from gateway.api.short import Short
from gateway.backends.connect import Backends

ACCESS_LOG = "access.log"
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


def build_site(backends: Backends) -> Site:
    """What its endpoints share; of several processes, with the folders of the others."""
    settings, measures = backends.settings, Measures()
    every = settings.every_dir
    access_log = AccessLog(
        settings.own_dir / ACCESS_LOG,
        others=[folder / ACCESS_LOG for folder in every if folder != settings.own_dir],
    )
    files = MeasureFiles(measures, settings.own_dir, every) if settings.process else None
    return Site(backends, measures, files, access_log, OPERATIONS)


def build_app(backends: Backends, site: Site | None = None) -> ASGIApp:
    """The HTTP API over open backends. Knows nothing of their opening and closing."""
    site = site or build_site(backends)
    measures = site.measures
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
