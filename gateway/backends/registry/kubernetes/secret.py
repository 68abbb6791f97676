"""A service's secrets as Secrets: under the service's name, as OSCAR keeps them and pods read them, and under
a name of its own while a deploy is on its way."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from gateway.backends.registry.kubernetes.config_map import LABEL, MANAGED, OURS, SECRETS
from gateway.domain.problems import Invalid

WRITTEN = f"{OURS}written-at"
DATA_LIMIT = 1 << 20
"""Bytes, Kubernetes' own limit."""
SELECTOR = f"{LABEL},{MANAGED[0]}={MANAGED[1]}"

_TIME = TypeAdapter(datetime)


@dataclass(frozen=True, slots=True)
class Kept:
    """A Secret of ours as it was read. `staged`: not yet, or not any more, the one that pods read."""

    name: str
    service: str
    secrets: str
    values: Mapping[str, str]
    written_at: datetime
    object_uid: str
    version: str

    @property
    def staged(self) -> bool:
        return self.name != self.service


def staged_name(service: str, secrets: str) -> str:
    """No service has a dot in its name."""
    return f"{service}.{secrets}"


def render(
    name: str, *, service: str, namespace: str, secrets: str, values: Mapping[str, str], now: datetime
) -> dict[str, Any]:
    """Raises Invalid if Kubernetes would not keep it."""
    size = sum(len(text.encode()) for text in values.values())
    if size > DATA_LIMIT:
        raise Invalid(f"the secrets have {size} bytes, of which Kubernetes keeps at most {DATA_LIMIT}")
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {LABEL: service, MANAGED[0]: MANAGED[1]},
            "annotations": {SECRETS: secrets, WRITTEN: now.isoformat()},
        },
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in values.items()},
    }


def parse(found: Mapping[str, Any]) -> Kept:
    """Of any Secret; what is no text is left out."""
    metadata = found["metadata"]
    annotations = metadata.get("annotations") or {}
    labels = metadata.get("labels") or {}
    return Kept(
        name=metadata["name"],
        service=labels.get(LABEL, metadata["name"]),
        secrets=annotations.get(SECRETS, "") if managed(found) else "",
        values=_texts(found.get("data") or {}),
        written_at=_time(annotations.get(WRITTEN, "")),
        object_uid=metadata["uid"],
        version=metadata["resourceVersion"],
    )


def managed(found: Mapping[str, Any]) -> bool:
    """Whether we wrote it."""
    return (found["metadata"].get("labels") or {}).get(MANAGED[0]) == MANAGED[1]


def _texts(data: Mapping[str, str]) -> dict[str, str]:
    texts = {}
    for key, encoded in data.items():
        try:
            texts[key] = base64.b64decode(encoded).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
    return texts


def _time(text: str) -> datetime:
    try:
        return _TIME.validate_python(text)
    except ValidationError:
        return datetime.min.replace(tzinfo=UTC)
