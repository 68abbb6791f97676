"""What the Kubernetes API refuses, as Problems. What it says of its own people and addresses is left out:
anybody may read a Problem."""

import json
from typing import Any

from gateway.domain.problems import Conflict, Forbidden, Invalid, NotFound, Problem, TooLarge, Unavailable

RETRY_S = 1
LONGEST_TEXT = 500


class ClusterConflict(Conflict):
    """`reason` is AlreadyExists (the name is taken) or Conflict (it was changed meanwhile)."""

    def __init__(self, detail: str, *, reason: str) -> None:
        super().__init__(detail)
        self.reason = reason


class QuotaExceeded(Forbidden):
    """A quota of the namespace is used up: others must end first."""


class Expired(Problem):
    """The version asked for is too old to be known: list anew."""


def refusal(status: int, body: bytes, *, asked: str, retry_after: str = "") -> Problem:
    """The Problem of an answer that is no success. `asked` says what was asked, as `list configmaps in x`."""
    told = _status_object(body)
    text = " ".join(str(told.get("message", "")).split())[:LONGEST_TEXT] or f"the answer was {status}"
    problem: Problem
    match status:
        case 400 | 422:
            problem = Invalid(text)
        case 401:
            detail = "Kubernetes does not know this process's credentials"
            problem = Unavailable(detail, retry_after_s=RETRY_S)
        case 403 if "exceeded quota" in text:
            problem = QuotaExceeded(text)
        case 403:
            problem = Forbidden(f"Kubernetes does not allow this process to {asked}")
        case 404:
            problem = NotFound(text)
        case 409:
            problem = ClusterConflict(text, reason=str(told.get("reason", "Conflict")))
        case 410:
            problem = Expired(text)
        case 413:
            problem = TooLarge(f"Kubernetes does not take an object this large: {asked}")
        case _:
            wait_s = int(retry_after) if retry_after.isascii() and retry_after.isdigit() else RETRY_S
            problem = Unavailable(f"Kubernetes could not {asked}: status {status}", retry_after_s=wait_s)
    return problem


def _status_object(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
