"""Route a call: what is known of it and of its service, put before `domain.routing`."""

from gateway.actions.learn_durations import recent
from gateway.backends.connect import Backends
from gateway.backends.invoker.protocol import Standing
from gateway.domain.deployed import Deployed
from gateway.domain.prefer import Preferences
from gateway.domain.routing import Choice, Signals, choose_route


def route_call(
    backends: Backends, deployed: Deployed, *, preferences: Preferences, body_bytes: int | None
) -> tuple[Choice, Standing]:
    """The route, and how the invoker stood when it was chosen. From memory alone."""
    settings, policy = backends.settings, deployed.service.policy
    standing = backends.invoker.standing(deployed.service.name)
    limit_s = policy.direct_limit_s
    signals = Signals(
        preferences=preferences,
        body_bytes=body_bytes,
        body_limit=settings.direct_body_limit,
        direct_limit_s=settings.direct_limit_s if limit_s is None else limit_s,
        expected_s=policy.expected_s,
        recent_s=recent(backends, deployed.uid),
        absent=standing is Standing.ABSENT,
        cold_s=recent(backends, deployed.uid, cold=True) if standing is Standing.COLD else None,
    )
    return choose_route(signals), standing
