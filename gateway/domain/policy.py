"""A policy: how a service's jobs and calls are run. It comes in annotations, which clients pass on."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.domain.problems import Invalid

PREFIX = "oscar-gateway/"
LIMIT_MOST_S = 30 * 86400


@dataclass(frozen=True, slots=True)
class Policy:
    """`RANGES` says which annotation sets which field. None: the gateway's setting."""

    tries: int = 1
    """How often a job's script may run before its failing is final."""
    retry_s: float = 10.0
    """Wait before the second try; it doubles from try to try."""
    interruptions: int = 5
    """How often a job is repeated because the platform interrupted it."""
    job_limit_s: float | None = None
    """How long a job's script may take."""
    call_limit_s: float | None = None
    """How long a call's script may take."""
    idle_limit_s: float | None = None
    """How long an answer that has begun may bring nothing."""
    expected_s: float | None = None
    """How long a call is expected to take; None: learned from recent ones."""
    direct_limit_s: float | None = None
    """Calls expected to take longer are answered as jobs; 0: all of them."""
    calls_live: int | None = None
    """Calls answered directly at the same time."""
    concurrency: int = 1
    """How many calls one instance on a cluster answers at the same time."""


@dataclass(frozen=True, slots=True)
class Range:
    """What an annotation sets, and the least and most it may say."""

    field: str
    least: float
    most: float
    whole: bool = False


RANGES = {
    "tries": Range("tries", 1, 20, whole=True),
    "retry-seconds": Range("retry_s", 0, 86400),
    "interruptions": Range("interruptions", 0, 100, whole=True),
    "job-seconds": Range("job_limit_s", 1, LIMIT_MOST_S),
    "call-seconds": Range("call_limit_s", 1, 86400),
    "idle-seconds": Range("idle_limit_s", 1, 86400),
    "expected-seconds": Range("expected_s", 0, LIMIT_MOST_S),
    "direct-seconds": Range("direct_limit_s", 0, 86400),
    "calls-live": Range("calls_live", 1, 100_000, whole=True),
    "concurrency": Range("concurrency", 1, 100, whole=True),
}
"""By the annotation's name after `oscar-gateway/`."""


def policy_of(annotations: Mapping[str, str]) -> Policy:
    """Raises Invalid, naming the annotation, for a value out of its range and for an unknown name of ours."""
    given: dict[str, float] = {}
    for key, text in annotations.items():
        if key.startswith(PREFIX):
            one = RANGES.get(key.removeprefix(PREFIX))
            if one is None:
                known = ", ".join(PREFIX + name for name in RANGES)
                raise Invalid(f"annotations.{key}: is none of {known}", field=f"annotations.{key}")
            given[one.field] = _number(f"annotations.{key}", text, one)
    return Policy(**given)  # type: ignore[arg-type]  # `_number` gives whole ones where `Range.whole` says so


def _number(field: str, text: str, allowed: Range) -> float:
    try:
        number = int(text) if allowed.whole else float(text)
    except ValueError:
        number = math.nan
    if not allowed.least <= number <= allowed.most:
        kind = "a whole number" if allowed.whole else "a number"
        raise Invalid(f"{field}: must be {kind} from {allowed.least:g} to {allowed.most:g}", field=field)
    return number
