"""The values of a service's secrets, read from the Secret that belongs to its ConfigMap."""

from collections.abc import Mapping
from dataclasses import replace

import structlog

from gateway.backends.cluster import Cluster
from gateway.backends.registry.kubernetes.config_map import Entry
from gateway.backends.registry.kubernetes.secret import SELECTOR, Kept, parse, staged_name
from gateway.domain.problems import NotFound

log = structlog.get_logger(__name__)


class SecretReader:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._path = f"/api/v1/namespaces/{cluster.namespace}/secrets"
        self._all: dict[str, Kept] = {}

    async def read_all(self) -> None:
        """Ours in one list, so that thousands of services are not thousands of requests. Raises Problems."""
        listed = await self._cluster.list(self._path, SELECTOR)
        self._all = {kept.name: kept for kept in map(parse, listed["items"])}

    def forget(self) -> None:
        self._all = {}

    async def fill(self, entry: Entry) -> Entry:
        """With values for the secrets it names; without, told in the log, if there are none. Raises
        Problems."""
        service = entry.deployed.service
        names = service.environment.secrets
        if not names:
            return entry
        values = await self._values(service.name, entry.secrets)
        if values is None:
            log.error("secrets.missing", service=service.name)
            return entry
        filled = {name: values.get(name, "") for name in names}
        environment = service.environment.model_copy(update={"secrets": filled})
        filled_service = service.model_copy(update={"environment": environment})
        return replace(entry, deployed=replace(entry.deployed, service=filled_service))

    async def _values(self, service: str, secrets: str) -> Mapping[str, str] | None:
        """Of that writing, where a deploy that is on its way may have left it."""
        for name in [service, staged_name(service, secrets)] if secrets else [service]:
            kept = self._all.get(name) or await self._get(name)
            if kept and secrets in ("", kept.secrets):
                return kept.values
        return None

    async def _get(self, name: str) -> Kept | None:
        try:
            return parse(await self._cluster.get(f"{self._path}/{name}"))
        except NotFound:
            return None
