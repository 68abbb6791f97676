"""Run a service: one call, answered on the connection it came by; it leaves no trace in the ledger."""

import itertools
import secrets

from gateway.backends.connect import Backends
from gateway.domain.deployed import Deployed

_LIFE = secrets.token_hex(8)
_NUMBERS = itertools.count(1)


def call_limit(backends: Backends, deployed: Deployed) -> float:
    """How long a call of it may take, seconds."""
    return deployed.service.policy.call_limit_s or backends.settings.call_limit_s


def new_call_id() -> str:
    return f"call-{_LIFE}-{next(_NUMBERS)}"
