"""Limit a call: how long it may take, and what who passed a limit is told: which one, and where it is set."""

from typing import NamedTuple

from gateway.backends.connect import Backends
from gateway.domain.deployed import Deployed
from gateway.domain.problems import TimedOut


class Limit(NamedTuple):
    """`place` is where it is set: an annotation of the service, or a setting."""

    seconds: float
    place: str

    def passed(self, what: str, *, instead: str = "") -> TimedOut:
        """What to raise."""
        told = f"{what}; the limit of {self.seconds:g} s is set by {self.place}"
        return TimedOut(f"{told}; {instead}" if instead else told, field=self.place)


def call_limit(backends: Backends, deployed: Deployed) -> Limit:
    own = deployed.service.policy.call_limit_s
    return _limit("call-seconds", own, "CALL_LIMIT_S", backends.settings.call_limit_s)


def call_limit_s(backends: Backends, deployed: Deployed) -> float:
    """The same in seconds, for who does not tell it: every call asks."""
    own_s = deployed.service.policy.call_limit_s
    return backends.settings.call_limit_s if own_s is None else own_s


def idle_limit(backends: Backends, deployed: Deployed | None) -> Limit:
    """Of an answer that has begun."""
    own = deployed.service.policy.idle_limit_s if deployed else None
    return _limit("idle-seconds", own, "IDLE_LIMIT_S", backends.settings.idle_limit_s)


def job_limit(backends: Backends, deployed: Deployed | None) -> Limit:
    """Of a call that is answered as a job, too."""
    own = deployed.service.policy.job_limit_s if deployed else None
    return _limit("job-seconds", own, "JOB_LIMIT_S", backends.settings.job_limit_s)


def _limit(annotation: str, own_s: float | None, setting: str, usual_s: float) -> Limit:
    if own_s is None:
        return Limit(usual_s, setting)
    return Limit(own_s, f"annotations.oscar-gateway/{annotation}")
