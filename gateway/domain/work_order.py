"""The work order: what a pod is told when it shows its claim: the script, what it works on and under which
variables, where its outputs may go. JSON by way of the standard library only: reading it is part of a pod's
start.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from gateway.domain.event import StoredObject
from gateway.domain.job import AttemptId, JobId, Payload
from gateway.domain.problems import Invalid


@dataclass(frozen=True, slots=True)
class OutputRule:
    """As a definition's, without what only a definition needs."""

    bucket: str
    folder: str
    prefix: tuple[str, ...] = ()
    suffix: tuple[str, ...] = ()
    embedded: bool = True


@dataclass(frozen=True, slots=True)
class Rules:
    """What is left of a service when its outputs are stored."""

    output: tuple[OutputRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Work:
    """What an attempt is to work on: a payload, or a stored object and the notice of it. With `file_stage_in`
    the script fetches its object itself."""

    job: JobId
    payload: Payload | None = None
    stored: StoredObject | None = None
    notice: bytes | None = None
    file_stage_in: bool = False


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """`config` is the text of `function_config.yaml`. `environment` lacks INPUT_FILE_PATH, which whoever
    stages the input knows. `own_bucket` is the name under which payloads and results are asked for. Limits in
    bytes and seconds; `verify` whether the store's certificate is to be checked."""

    attempt: AttemptId
    service_uid: str
    work: Work
    script: str
    config: str
    own_bucket: str
    limit_s: float
    output_limit: int
    log_limit: int
    verify: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    service: Rules = Rules()

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), default=_plain).encode("utf-8", "backslashreplace")


def read_work_order(text: bytes) -> WorkOrder:
    """Raises Invalid."""
    try:
        given: dict[str, Any] = json.loads(text)
        rules = tuple(
            OutputRule(**{**rule, "prefix": tuple(rule["prefix"]), "suffix": tuple(rule["suffix"])})
            for rule in given.pop("service")["output"]
        )
        return WorkOrder(**{**given, "work": _work(given["work"])}, service=Rules(rules))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Invalid("the work order cannot be read") from error


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError


def _work(given: dict[str, Any]) -> Work:
    payload, stored = given["payload"], given["stored"]
    return Work(
        job=JobId(given["job"]),
        payload=None if payload is None else Payload(**{**payload, "inline": _bytes(payload["inline"])}),
        stored=None if stored is None else _stored(stored),
        notice=_bytes(given["notice"]),
        file_stage_in=given["file_stage_in"],
    )


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)


def _stored(given: dict[str, Any]) -> StoredObject:
    return StoredObject(**{**given, "modified_at": datetime.fromisoformat(given["modified_at"])})
