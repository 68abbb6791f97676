"""A connection to the Kubernetes API: where it is, as whom, one request. Not what is asked: see client.py."""

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import structlog
import yaml
from kubernetes_asyncio import config
from kubernetes_asyncio.client import ApiClient, Configuration

from gateway.backends.cluster.client import Cluster
from gateway.backends.cluster.refusals import RETRY_S, refusal
from gateway.domain.problems import Unavailable
from gateway.settings import Settings, SettingsError

Load = Callable[[Configuration], Awaitable[None]]

HOME_CONFIG = Path("~/.kube/config")
CONNECT_S = 5.0
CONNECTIONS = 100
"""Open at the same time; each watch and each log that is followed holds one."""
UNUSABLE = (
    config.ConfigException,
    yaml.YAMLError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
)
"""What the library raises for a file that is damaged or is no client configuration."""

READ_BYTES = 2 << 20
"""A line of a watch is a whole object: etcd keeps 1.5 MiB at most."""

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_cluster(settings: Settings) -> AsyncIterator[Cluster]:
    """The cluster of the settings, without asking it anything: it may be away, and come back.

    Raises SettingsError if there is no configuration to be had, or it cannot be read.
    """
    load = _loader(settings)
    configuration = Configuration()
    configuration.connection_pool_maxsize = CONNECTIONS
    try:
        await load(configuration)
        api = ApiClient(configuration)
    except UNUSABLE as error:
        raise SettingsError(f"KUBECONFIG: cannot be used: {type(error).__name__}") from error
    async with api, _session(api) as session:
        yield Cluster(Connection(api, load, session), settings.kubernetes_namespace)


@asynccontextmanager
async def _session(api: ApiClient) -> AsyncIterator[aiohttp.ClientSession]:
    """Over the library's connections, but without its own session's habit of looking into files and
    environment, in a thread, for each request."""
    library: aiohttp.ClientSession = api.rest_client.pool_manager
    async with aiohttp.ClientSession(
        connector=library.connector, connector_owner=False, read_bufsize=READ_BYTES
    ) as session:
        yield session


def _proxy(configuration: Configuration) -> str | None:
    """The configuration's, or the environment's for this host."""
    host = urlsplit(str(configuration.host))
    if configuration.proxy or proxy_bypass(host.hostname or ""):
        return configuration.proxy
    return getproxies().get(host.scheme)


class Connection:
    """Requests over the session, with the library's credentials, which are read anew when refused."""

    def __init__(self, api: ApiClient, load: Load, session: aiohttp.ClientSession) -> None:
        self._configuration = api.configuration
        self._rest = api.rest_client
        self._load = load
        self._session = session
        self._proxy = _proxy(api.configuration)

    @asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        total_s: float | None = None,
        idle_s: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """See Sending."""
        url = f"{path}?{urlencode(query)}" if query else path
        timeout = aiohttp.ClientTimeout(total=total_s, sock_connect=CONNECT_S, sock_read=idle_s)
        data = None if body is None else json.dumps(body)
        try:
            answer = await self._send(method, url, data, content_type, timeout)
            async with answer:
                if answer.status >= 300:
                    raise refusal(
                        answer.status,
                        await answer.read(),
                        asked=_asked(method, path),
                        retry_after=answer.headers.get("retry-after", ""),
                    )
                yield answer
        except (aiohttp.ClientError, OSError) as error:
            log.debug("cluster.unreachable", asked=_asked(method, path), error=repr(error))
            why = f"Kubernetes does not answer: {_short(error)}"
            raise Unavailable(why, retry_after_s=RETRY_S) from error

    async def _send(
        self, method: str, url: str, data: str | None, content_type: str, timeout: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        answer = await self._send_once(method, url, data, content_type, timeout)
        if answer.status != 401:
            return answer
        # Credentials end, and are renewed in the file they came from; what was refused was not done.
        answer.release()
        await self._reload()
        return await self._send_once(method, url, data, content_type, timeout)

    async def _send_once(
        self, method: str, url: str, data: str | None, content_type: str, timeout: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        headers = {"Accept": "application/json", "User-Agent": "oscar-gateway"}
        if data is not None:
            headers["Content-Type"] = content_type
        for one in (await self._configuration.auth_settings()).values():
            headers[one["key"]] = one["value"]
        return await self._session.request(
            method,
            f"{self._configuration.host}{url}",
            data=data,
            headers=headers,
            timeout=timeout,
            server_hostname=self._rest.server_hostname or None,
            proxy=self._proxy,
            proxy_headers=self._rest.proxy_headers or None,
        )

    async def _reload(self) -> None:
        try:
            await self._load(self._configuration)
        except UNUSABLE as error:
            log.warning("credentials.unreadable", why=type(error).__name__)


def _loader(settings: Settings) -> Load:
    """The setting, the service account of the pod we are in, or the file that kubectl reads."""
    if not settings.kubeconfig and "KUBERNETES_SERVICE_HOST" in os.environ:
        return _load_service_account
    path = Path(settings.kubeconfig or HOME_CONFIG).expanduser()
    if not path.is_file():
        raise SettingsError(f"KUBECONFIG: there is no file {path}, and this is no pod of a cluster")

    async def load(configuration: Configuration) -> None:
        await config.load_kube_config(str(path), client_configuration=configuration, persist_config=False)

    return load


async def _load_service_account(configuration: Configuration) -> None:
    config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]


def _asked(method: str, path: str) -> str:
    """`POST /api/v1/namespaces/x/configmaps/y` as `create configmaps in x`."""
    steps = path.strip("/").split("/")
    verb = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[method]
    if "namespaces" not in steps[:-2]:
        return f"{verb} {steps[-1]}"
    namespace, kind, *name = steps[steps.index("namespaces") + 1 :]
    return f"{'list' if verb == 'get' and not name else verb} {kind} in {namespace}"


def _short(error: Exception) -> str:
    """Of what kind, without the address, which the text of these errors has."""
    return "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
