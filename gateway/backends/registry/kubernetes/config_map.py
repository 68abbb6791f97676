"""A deployed service as the ConfigMap that OSCAR would keep: `function_config.yaml` without script and secret
values, `script.sh`, the label `oscar_service`. What OSCAR does not know stands in annotations."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from gateway.backends.registry.record import RecordError
from gateway.domain.deployed import Deployed
from gateway.domain.document import parse_document
from gateway.domain.problems import Invalid, Problem
from gateway.domain.service import Service, service_dict

LABEL = "oscar_service"
MANAGED = ("app.kubernetes.io/managed-by", "oscar-gateway")
OURS = "oscar-gateway/"
UID, CREATED, UPDATED = f"{OURS}uid", f"{OURS}created-at", f"{OURS}updated-at"
INPUTS, SECRETS = f"{OURS}inputs-since", f"{OURS}secrets"
DEFINITION, SCRIPT = "function_config.yaml", "script.sh"

DATA_LIMIT = 1 << 20
ANNOTATIONS_LIMIT = 256 << 10
"""Bytes, Kubernetes' own limits."""

# JSON is YAML, but for characters that a YAML reader takes for line ends, or does not take.
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_TIMES = TypeAdapter(dict[str, datetime])
_TIME = TypeAdapter(datetime)


@dataclass(frozen=True, slots=True)
class Entry:
    """A service and the ConfigMap it was read from. `secrets` says which writing of its Secret belongs to
    it; empty for one that OSCAR wrote, whose secrets stand under the service's name."""

    deployed: Deployed
    object_uid: str
    version: int
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    secrets: str

    @property
    def foreign(self) -> bool:
        return UID not in self.annotations


def render(deployed: Deployed, *, namespace: str, secrets: str, over: Entry | None = None) -> dict[str, Any]:
    """The ConfigMap; with `over` a new version of exactly that one, keeping the marks of others on it.

    Raises Invalid if Kubernetes would not keep it.
    """
    service = deployed.service
    annotations = {
        **{key: text for key, text in (over.annotations if over else {}).items() if not key.startswith(OURS)},
        UID: deployed.uid,
        CREATED: deployed.created_at.isoformat(),
        UPDATED: deployed.updated_at.isoformat(),
        INPUTS: json.dumps({path: when.isoformat() for path, when in deployed.inputs_since.items()}),
        SECRETS: secrets,
    }
    metadata: dict[str, Any] = {
        "name": service.name,
        "namespace": namespace,
        "labels": {**(over.labels if over else {}), LABEL: service.name, MANAGED[0]: MANAGED[1]},
        "annotations": annotations,
    }
    if over:
        metadata |= {"resourceVersion": str(over.version), "uid": over.object_uid}
    data = {DEFINITION: _definition(service), SCRIPT: service.script}
    _require_small("definition and script", data, DATA_LIMIT)
    _require_small("annotations", annotations, ANNOTATIONS_LIMIT)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def parse(found: Mapping[str, Any], *, now: datetime) -> Entry:
    """From a ConfigMap of ours or of OSCAR's; secrets have names but no values.

    Of OSCAR's, uid and times are those of the object, and inputs count from `now`: what lies in its buckets
    already was its affair. Raises RecordError.
    """
    metadata = found["metadata"]
    annotations = metadata.get("annotations") or {}
    try:
        service = _service(found.get("data") or {})
        if service.name != metadata["name"]:
            raise RecordError("the service in it has another name")
        return Entry(
            deployed=_deployed(service, metadata, annotations, now),
            object_uid=metadata["uid"],
            version=int(metadata["resourceVersion"]),
            labels=metadata.get("labels") or {},
            annotations=annotations,
            secrets=annotations.get(SECRETS, ""),
        )
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise RecordError(f"{place or 'annotation'}: {first['msg']}") from None
    except Problem as problem:
        raise RecordError(problem.detail) from None


def _definition(service: Service) -> str:
    shown = service_dict(service)
    for answered in ("script", "bucket_list", "volume_status"):
        shown.pop(answered, None)
    text = json.dumps(shown, ensure_ascii=False, indent=2)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def _service(data: Mapping[str, str]) -> Service:
    if DEFINITION not in data or SCRIPT not in data:
        raise RecordError(f"it needs {DEFINITION} and {SCRIPT}")
    document = {key.lower(): value for key, value in parse_document(data[DEFINITION].encode()).items()}
    return Service.model_validate({**document, "script": data[SCRIPT]})


def _deployed(
    service: Service, metadata: Mapping[str, Any], annotations: Mapping[str, str], now: datetime
) -> Deployed:
    if UID not in annotations:
        created = _TIME.validate_python(metadata["creationTimestamp"])
        written = [
            _TIME.validate_python(one["time"]) for one in metadata.get("managedFields", ()) if "time" in one
        ]
        since = {rule.path: now for rule in service.input}
        return Deployed(service, metadata["uid"], created, max([created, *written]), since)
    return Deployed(
        service,
        annotations[UID],
        _TIME.validate_python(annotations.get(CREATED)),
        _TIME.validate_python(annotations.get(UPDATED)),
        _TIMES.validate_json(annotations.get(INPUTS, "{}")),
    )


def _require_small(what: str, texts: Mapping[str, str], limit: int) -> None:
    size = sum(len(key.encode()) + len(text.encode()) for key, text in texts.items())
    if size > limit:
        raise Invalid(f"{what} have {size} bytes, of which Kubernetes keeps at most {limit}")
