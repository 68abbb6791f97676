"""Calls answered by Knative. What stands in the cluster is known from watches; a call asks the Kubernetes API
nothing unless its service has no Knative Service yet."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import structlog

from gateway.backends.cluster import Cluster
from gateway.backends.invoker.deadlines import Deadlines
from gateway.backends.invoker.knative.calling import Calling
from gateway.backends.invoker.knative.deploying import Deploying
from gateway.backends.invoker.knative.fleet import Fleet, open_fleet
from gateway.backends.invoker.knative.gate import pass_gate
from gateway.backends.invoker.knative.instance_log import read_instance_log
from gateway.backends.invoker.knative.kservice import KService
from gateway.backends.invoker.knative.manifest import PodOptions, build_manifest, call_limit_s
from gateway.backends.invoker.knative.status import read_status
from gateway.backends.invoker.protocol import Call, DeploymentStatus, InstanceLog, Reply, Standing
from gateway.backends.invoker.upstream.message import Origin
from gateway.backends.invoker.upstream.upstream import Upstream
from gateway.domain.deployed import Deployed
from gateway.domain.problems import Forbidden, Invalid, Unavailable

log = structlog.get_logger(__name__)

CONNECT_S = 5.0
IDLE_S = 60.0
CONNECTIONS = 1024


@asynccontextmanager
async def open_knative_invoker(
    cluster: Cluster, options: PodOptions, *, gateway: Origin | None
) -> AsyncIterator["KnativeInvoker"]:
    """`gateway` is the cluster's local one; None: each service is reached by its own name."""
    deploying = Deploying(cluster)
    async with (
        Upstream(
            connect_timeout_s=CONNECT_S, idle_timeout_s=IDLE_S, per_origin_limit=CONNECTIONS
        ) as upstream,
        open_fleet(cluster, deploying.services) as fleet,
    ):
        yield KnativeInvoker(cluster, deploying, fleet, upstream, options, gateway=gateway)


class KnativeInvoker:
    def __init__(
        self,
        cluster: Cluster,
        deploying: Deploying,
        fleet: Fleet,
        upstream: Upstream,
        options: PodOptions,
        *,
        gateway: Origin | None,
    ) -> None:
        self._cluster = cluster
        self._deploying = deploying
        self._fleet = fleet
        self._upstream = upstream
        self._options = options
        self._gateway = gateway
        self._deadlines = Deadlines()
        self._fitting: dict[str, tuple[str, datetime]] = {}
        """Of services seen to be deployed as defined: which creation, as of when."""

    async def prepare(self, deployed: Deployed) -> None:
        self._fleet.note(await self._deploying.deploy(build_manifest(deployed, self._options)))
        self._fitting[deployed.service.name] = (deployed.uid, deployed.updated_at)

    async def retire(self, name: str) -> None:
        await self._deploying.remove(name)
        self._fitting.pop(name, None)
        self._fleet.forget(name)

    @asynccontextmanager
    async def invoke(self, call: Call) -> AsyncIterator[Reply]:
        service = call.deployed.service
        kservice = self._fleet.kservice(service.name)
        if kservice is None or self._fitting.get(service.name) != (
            call.deployed.uid,
            call.deployed.updated_at,
        ):
            await self._fit(call.deployed)
        limit_s = min(call.limit_s, call_limit_s(service, self._options))
        await pass_gate(self._fleet, service.name, within_s=limit_s)
        kservice = self._fleet.kservice(service.name)
        if kservice is None:
            raise Unavailable("the service is being removed; nothing was executed", retry_after_s=1)
        async with self._calling(call, kservice) as reply:
            yield reply

    def begin(self, call: Call, told: Callable[[], None]) -> Calling | None:
        service = call.deployed.service.name
        kservice = self._fleet.kservice(service)
        fitting = self._fitting.get(service) == (call.deployed.uid, call.deployed.updated_at)
        if kservice is None or kservice.ready != "True" or not fitting:
            return None
        calling = self._calling(call, kservice)
        return calling if calling.begin(told) else None

    def _calling(self, call: Call, kservice: KService) -> Calling:
        return Calling(
            self._upstream,
            self._deadlines,
            self._fleet,
            call,
            origin=self._gateway or Origin(kservice.host, 80),
            host=kservice.host,
            limit_s=min(call.limit_s, call_limit_s(call.deployed.service, self._options)),
        )

    def standing(self, name: str) -> Standing:
        """Never ABSENT: the first call of a service that has nothing yet makes it."""
        return Standing.WARM if any(one.ready for one in self._fleet.instances(name)) else Standing.COLD

    async def status(self, deployed: Deployed) -> DeploymentStatus:
        try:
            self._fleet.require_seeing()
        except Unavailable as problem:
            return DeploymentStatus("unavailable", reason=problem.detail)
        return read_status(self._fleet, deployed.service.name)

    async def log(self, deployed: Deployed, *, tail: int) -> InstanceLog:
        name = deployed.service.name
        # Instances of a service that was removed take a while to go.
        instances = self._fleet.instances(name) if self._fleet.kservice(name) else []
        return await read_instance_log(self._cluster, instances, tail=tail)

    async def ready(self) -> None:
        self._fleet.require_seeing()

    async def _fit(self, deployed: Deployed) -> None:
        """Once for each definition: bring what stands there in line, where it is missing (deployed before
        Knative answered calls), OSCAR's own, or an older gateway's. What is newer than the definition that we
        know is left alone: another gateway is ahead of us."""
        name = deployed.service.name
        kservice = self._fleet.kservice(name)
        if kservice and kservice.updated_at and kservice.updated_at > deployed.updated_at:
            return
        manifest = build_manifest(deployed, self._options)
        if kservice is None or kservice.definition != manifest.definition:
            log.info("service.fitted", service=name, was="missing" if kservice is None else "different")
            try:
                self._fleet.note(await self._deploying.deploy(manifest))
            except (Forbidden, Invalid) as problem:
                raise Unavailable(f"it could not be deployed: {problem.detail}") from problem
        self._fitting[name] = (deployed.uid, deployed.updated_at)
