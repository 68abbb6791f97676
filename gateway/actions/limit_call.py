"""Limit a call: how long it may take."""

from gateway.backends.connect import Backends
from gateway.domain.deployed import Deployed


def call_limit(backends: Backends, deployed: Deployed) -> float:
    """As its service says, else the settings; seconds."""
    return deployed.service.policy.call_limit_s or backends.settings.call_limit_s
