"""Hand out an order: what the pod of a live attempt is to do. To nobody else, and not for an attempt that is
over: a pod that comes late, or twice, finds the door closed."""

from collections.abc import AsyncIterator

from gateway.actions.find_service import current_service
from gateway.backends.connect import Backends
from gateway.backends.launcher.stage_in import occasion_of
from gateway.backends.objects.protocol import OWN_BUCKET
from gateway.domain.deployed import Deployed
from gateway.domain.job import LIVE_STATES, AttemptId, Job, job_of
from gateway.domain.problems import Conflict, NotFound
from gateway.domain.work_order import OutputRule, Rules, Work, WorkOrder
from gateway.staging import layout
from gateway.staging.environment import script_environment
from gateway.staging.workspace import config_text


async def hand_out_order(backends: Backends, attempt: AttemptId) -> WorkOrder:
    """Raises Conflict, Unavailable."""
    job, deployed = await require_live(backends, attempt)
    service, settings = deployed.service, backends.settings
    work = Work(job.id, job.payload, job.stored, job.notice, file_stage_in=service.file_stage_in)
    return WorkOrder(
        attempt=attempt,
        service_uid=deployed.uid,
        work=work,
        script=service.script,
        config=config_text(service),
        own_bucket=OWN_BUCKET,
        limit_s=service.policy.job_limit_s or settings.job_limit_s,
        output_limit=settings.output_limit,
        log_limit=settings.log_limit,
        verify=backends.objects.provider.verify,
        environment=_environment(deployed, work),
        service=_rules(deployed),
    )


async def read_payload(backends: Backends, attempt: AttemptId) -> AsyncIterator[bytes]:
    """A payload that is too large for the order. Raises Conflict, NotFound, Unavailable."""
    job, _ = await require_live(backends, attempt)
    if job.payload is None or job.payload.key is None:
        raise NotFound(f"the attempt {attempt} has no payload apart from its order")
    await backends.objects.stat(OWN_BUCKET, job.payload.key)
    return backends.objects.read(OWN_BUCKET, job.payload.key)


async def require_live(backends: Backends, attempt: AttemptId) -> tuple[Job, Deployed]:
    """The attempt's job and service. Raises Conflict if it is not its job's present, live attempt."""
    over = Conflict(f"the attempt {attempt} is over")
    try:
        job = await backends.ledger.job(job_of(attempt)[0])
    except (ValueError, NotFound) as error:
        raise over from error
    deployed = await current_service(backends, name=job.service, uid=job.service_uid)
    if job.attempt_id != attempt or job.state not in LIVE_STATES or deployed is None:
        raise over
    return job, deployed


def _environment(deployed: Deployed, work: Work) -> dict[str, str]:
    root = layout.CONTAINER_ROOT
    variables = script_environment(
        deployed.service,
        occasion_of(work, ""),
        input_dir=f"{root}/{layout.INPUT}",
        output_dir=f"{root}/{layout.OUTPUT}",
        place={},
    )
    # The pod knows its node, and what its input is called.
    return {name: text for name, text in variables.items() if name not in ("RESOURCE_ID", "INPUT_FILE_PATH")}


def _rules(deployed: Deployed) -> Rules:
    return Rules(
        tuple(
            OutputRule(rule.bucket, rule.folder, prefix=rule.prefix, suffix=rule.suffix)
            for rule in deployed.service.output
            if rule.embedded
        )
    )
