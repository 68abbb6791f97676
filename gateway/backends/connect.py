"""Connect: settings to open backends. The one place that names implementations; what a URL does not pick is
not imported."""

import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.types import ASGIApp

from gateway.backends.identity.protocol import Identity
from gateway.backends.invoker.protocol import Invoker
from gateway.backends.launcher.protocol import Launcher
from gateway.backends.ledger.ends import Ends, open_ends
from gateway.backends.ledger.protocol import Ledger
from gateway.backends.objects.protocol import OWN_BUCKET, Listener, Objects, Provider
from gateway.backends.queue.announcing import Announcer, open_announcer
from gateway.backends.queue.protocol import Queue
from gateway.backends.registry.protocol import Registry
from gateway.backends.registry.subscriptions import Subscriptions
from gateway.domain.durations import Learned
from gateway.domain.rooms import Rooms
from gateway.executors.pick import open_executor
from gateway.executors.protocol import Executor
from gateway.settings import Settings, SettingsError

if TYPE_CHECKING:
    from gateway.backends.cluster import Cluster


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Backends:
    """Every role, open, with the settings and the clock: what actions work with."""

    settings: Settings
    registry: Registry
    ledger: Ledger
    ends: Ends
    queue: Queue
    announcer: Announcer
    objects: Objects
    invoker: Invoker
    launcher: Launcher
    identity: Identity
    subscriptions: Subscriptions
    now: Callable[[], datetime] = utc_now
    learned: Learned = field(default_factory=Learned)
    """How long the calls that this process answered took."""
    callers: Rooms = field(default_factory=Rooms)
    services: Rooms = field(default_factory=Rooms)
    """Who is being answered by this process: calls of each caller, direct calls of each service."""
    held: Rooms = field(default_factory=Rooms)
    """Calls that are held for their job's end."""
    look_ups: Rooms = field(default_factory=Rooms)
    """Services that memory does not know, being looked up."""


@dataclass(frozen=True)
class StoreFace:
    """The embedded store's own HTTP face: an ASGI app and the socket it is to be served on."""

    app: ASGIApp
    listening: socket.socket
    listen: Callable[[Listener], None]
    """Whom it is to tell of every completed upload."""


@asynccontextmanager
async def open_backends(settings: Settings) -> AsyncIterator[tuple[Backends, StoreFace | None]]:
    """Every role as the settings' URLs pick it, closed in reverse order, and the store's face if it has one
    to serve.

    Raises SettingsError for a URL that names no implementation, and the Problems of whatever cannot be
    opened.
    """
    async with AsyncExitStack() as stack:
        cluster = _SharedCluster(settings, stack)
        registry = await _open_registry(settings, cluster, stack)
        objects, face = await _open_objects(settings, stack)
        executors = _Executors(settings, stack)
        ledger = await _open_ledger(settings, stack)
        queue = await _open_queue(settings, stack)
        backends = Backends(
            settings=settings,
            registry=registry,
            ledger=ledger,
            ends=await stack.enter_async_context(open_ends(ledger, now=utc_now)),
            queue=queue,
            announcer=await stack.enter_async_context(open_announcer(queue)),
            objects=objects,
            invoker=await _open_invoker(settings, executors, cluster, stack),
            launcher=await _open_launcher(settings, executors, cluster, objects, stack),
            identity=await _open_identity(settings, stack),
            subscriptions=Subscriptions(registry),
        )
        yield backends, face


async def _open_registry(settings: Settings, cluster: "_SharedCluster", stack: AsyncExitStack) -> Registry:
    match _scheme(settings.registry_url):
        case "file":
            from gateway.backends.registry.directory import open_directory

            shared = settings.registry_url.removeprefix("file:")
            folder = Path(shared) if shared else settings.data_dir / "services"
            return await stack.enter_async_context(open_directory(folder, shared=bool(shared)))
        case "kubernetes":
            from gateway.backends.registry.kubernetes.registry import open_kubernetes_registry

            opening = open_kubernetes_registry(await cluster.get(), now=utc_now)
            return await stack.enter_async_context(opening)
        case _:
            raise _unknown("REGISTRY_URL", "file:, kubernetes:")


async def _open_ledger(settings: Settings, stack: AsyncExitStack) -> Ledger:
    from gateway.backends.ledger.sql import open_ledger

    return await stack.enter_async_context(open_ledger(settings.ledger_url))


async def _open_queue(settings: Settings, stack: AsyncExitStack) -> Queue:
    match _scheme(settings.queue_url):
        case "memory":
            from gateway.backends.queue.memory import MemoryQueue

            return MemoryQueue()
        case "amqp" | "amqps":
            from gateway.backends.queue.rabbitmq.queue import open_rabbit_queue

            if not urlsplit(settings.queue_url).hostname:
                raise SettingsError("QUEUE_URL: has no host; it is amqp://user:password@host:port/vhost")
            return await stack.enter_async_context(open_rabbit_queue(settings.queue_url))
        case _:
            raise _unknown("QUEUE_URL", "memory:, amqp: or amqps:")


async def _open_objects(settings: Settings, stack: AsyncExitStack) -> tuple[Objects, StoreFace | None]:
    match _scheme(settings.objects_url):
        case "file":
            from gateway.backends.objects.embedded.face.app import build_face
            from gateway.backends.objects.embedded.store import open_embedded

            listening = stack.enter_context(bind(settings.s3_host, settings.s3_port, name="S3_PORT"))
            provider = Provider(
                endpoint=settings.s3_public_url or url_of(listening),
                verify=False,
                region=settings.s3_region,
                access_key=settings.s3_access_key,
                secret_key=settings.s3_secret_key,
            )
            store = await stack.enter_async_context(
                open_embedded(settings.data_dir / "objects", provider, object_limit=settings.object_limit)
            )
            face = build_face(store, origins=tuple(settings.cors_origins.split()))
            return store, StoreFace(face, listening, store.listen)
        case "http" | "https":
            from gateway.backends.objects.s3.place import place_of
            from gateway.backends.objects.s3.store import open_s3

            opening = open_s3(place_of(settings), object_limit=settings.object_limit)
            return await stack.enter_async_context(opening), None
        case _:
            raise _unknown("OBJECTS_URL", "file:, http(s)://")


class _SharedCluster:
    """The Kubernetes cluster, opened once by the first role that lives there."""

    def __init__(self, settings: Settings, stack: AsyncExitStack) -> None:
        self._settings = settings
        self._stack = stack
        self._open: Cluster | None = None

    async def get(self) -> "Cluster":
        from gateway.backends.cluster import open_cluster

        if self._open is None:
            self._open = await self._stack.enter_async_context(open_cluster(self._settings))
        return self._open


class _Executors:
    """An executor a URL, opened once: invoker and launcher may share one."""

    def __init__(self, settings: Settings, stack: AsyncExitStack) -> None:
        self._settings = settings
        self._stack = stack
        self._open: dict[str, Executor] = {}

    async def get(self, url: str) -> Executor:
        if url not in self._open:
            self._open[url] = executor = await open_executor(url, self._settings)
            self._stack.push_async_callback(executor.close)
        return self._open[url]


async def _open_invoker(
    settings: Settings, executors: _Executors, cluster: _SharedCluster, stack: AsyncExitStack
) -> Invoker:
    match _scheme(settings.invoker_url):
        case "http":
            from gateway.backends.invoker.http import HttpInvoker

            return await stack.enter_async_context(HttpInvoker(*_address(settings.invoker_url)))
        case "knative" | "knative+http":
            return await _open_knative(settings, await cluster.get(), stack)
    from gateway.backends.invoker.local import open_local_invoker

    opening = open_local_invoker(
        await executors.get(settings.invoker_url),
        settings.own_dir.absolute() / "calls",
        beside=[one.absolute() / "calls" for one in settings.every_dir if one != settings.own_dir],
        live_limit=settings.calls_live_limit,
        waiting_limit=settings.calls_waiting_limit,
        output_limit=settings.output_limit,
    )
    return await stack.enter_async_context(opening)


async def _open_knative(settings: Settings, cluster: "Cluster", stack: AsyncExitStack) -> Invoker:
    from gateway.backends.invoker.knative.invoker import open_knative_invoker
    from gateway.backends.invoker.knative.manifest import PodOptions
    from gateway.backends.invoker.upstream.message import Origin

    if not settings.pod_image:
        raise SettingsError("POD_IMAGE: calls answered by Knative need this project's image")
    options = PodOptions(
        image=settings.pod_image,
        image_pull_policy=settings.pod_image_pull_policy,
        script_image_pull_policy=settings.image_pull_policy,
        call_limit_s=settings.call_limit_s,
        timeout_most_s=settings.knative_timeout_limit_s,
        log_limit=settings.log_limit,
        output_limit=settings.output_limit,
    )
    through = _scheme(settings.invoker_url) == "knative+http"
    gateway = Origin(*_address(settings.invoker_url)) if through else None
    return await stack.enter_async_context(open_knative_invoker(cluster, options, gateway=gateway))


async def _open_launcher(
    settings: Settings,
    executors: _Executors,
    cluster: "_SharedCluster",
    objects: Objects,
    stack: AsyncExitStack,
) -> Launcher:
    if _scheme(settings.launcher_url) == "kubernetes":
        from gateway.backends.launcher.kubernetes.launcher import open_kubernetes_launcher

        for name in ("internal_url", "pod_image"):
            if not getattr(settings, name):
                raise SettingsError(f"{name.upper()}: is needed for LAUNCHER_URL=kubernetes:")
        opening_jobs = open_kubernetes_launcher(
            await cluster.get(), objects, settings, own_bucket=OWN_BUCKET, now=utc_now
        )
        return await stack.enter_async_context(opening_jobs)
    from gateway.backends.launcher.local import open_local_launcher

    opening = open_local_launcher(
        await executors.get(settings.launcher_url),
        objects,
        settings.own_dir.absolute() / "attempts",
        own_bucket=OWN_BUCKET,
        output_limit=settings.output_limit,
    )
    return await stack.enter_async_context(opening)


async def _open_identity(settings: Settings, stack: AsyncExitStack) -> Identity:
    from gateway.backends.identity.administrator import Administrator

    administrator = Administrator(username=settings.oscar_username, password=settings.oscar_password)
    if not settings.oidc_issuers:
        return administrator
    from gateway.backends.identity.by_scheme import ByScheme
    from gateway.backends.identity.oidc.users import open_oidc_users

    users = await stack.enter_async_context(open_oidc_users(settings))
    return ByScheme(bearer=users, other=administrator)


def bind(host: str, port: int, *, name: str, shared: bool = False) -> socket.socket:
    """A listening socket; with `shared` one that does not listen yet, of whose kind many may have the
    address. Raises SettingsError, naming the setting, if the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        if not shared:
            return socket.create_server((host, port), family=family, backlog=2048)
        with ExitStack() as opened:
            bound = opened.enter_context(socket.socket(family))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            bound.bind((host, port))
            opened.pop_all()
        return bound
    except OSError as error:
        raise SettingsError(
            f"{name}: cannot listen on {host} port {port}: {os.strerror(error.errno or 0)}"
        ) from error


def url_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _address(url: str) -> tuple[str, int]:
    """Host and port of INVOKER_URL. Raises SettingsError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        host, port = None, 0
    if not host:
        raise SettingsError("INVOKER_URL: no host and port in it")
    return host, port


def _scheme(url: str) -> str:
    return url.partition(":")[0]


def _unknown(name: str, known: str) -> SettingsError:
    return SettingsError(f"{name}: not one of {known}")
