"""The status of a service's Knative Service in OSCAR's words."""

from gateway.backends.invoker.knative.fleet import Fleet
from gateway.backends.invoker.protocol import DeploymentStatus


def read_status(fleet: Fleet, service: str) -> DeploymentStatus:
    """Knative says Unknown for minutes of what will never be ready; its pods know better."""
    kservice = fleet.kservice(service)
    if kservice is None:
        return DeploymentStatus(
            "unavailable", reason="it has no Knative Service yet; the first call makes it"
        )
    instances = fleet.instances(service)
    active = sum(one.ready for one in instances)
    troubled = [one for one in instances if one.trouble is not None and not one.ready]
    trouble = next((one.trouble for one in troubled if one.trouble and one.trouble.lasting), None)
    reason = trouble.text if trouble else kservice.reason
    if kservice.ready == "True" and not (trouble and not active):
        return DeploymentStatus(
            "degraded" if trouble else "ready",
            reason=trouble.text if trouble else "",
            last_transition_at=kservice.since,
            active_instances=active,
            affected_instances=len(troubled),
        )
    broken = kservice.ready == "False" or trouble is not None
    served = active > 0 or (
        kservice.routed and bool(kservice.serving) and kservice.serving != kservice.newest
    )
    return DeploymentStatus(
        ("degraded" if served else "failed") if broken else "pending",
        reason=reason or (troubled[0].trouble.text if troubled and troubled[0].trouble else ""),
        last_transition_at=kservice.since,
        active_instances=active,
        affected_instances=len(troubled),
    )
