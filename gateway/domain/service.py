"""A service from request to answer: parsed as clients send it, completed by us, shown as OSCAR shows it."""

import json

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.domain.definition import Service
from gateway.domain.document import parse_document
from gateway.domain.environment import Environment
from gateway.domain.fdl import unwrap_fdl
from gateway.domain.names import label_text
from gateway.domain.policy import Policy
from gateway.domain.problems import Invalid, TooLarge
from gateway.domain.providers import HIDDEN, MinioProvider
from gateway.domain.storage_rule import StorageRule

__all__ = ["Environment", "Policy", "Service", "StorageRule", "complete", "parse_service", "service_dict"]

DEFINITION_LIMIT = 900 << 10
"""Bytes of JSON: a ConfigMap holds a mebibyte, and there is more in one than the definition."""

SERVER_SET = frozenset({"token", "owner", "namespace", "bucket_list", "volume_status", "deployment"})

_FAULTS = {
    "missing": "is required",
    "string_type": "must be text",
    "string_unicode": "must be Unicode text",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
}
"""In words that hold for JSON and YAML, by pydantic's type of error."""


def parse_service(raw: bytes) -> Service:
    """A service from JSON or YAML, bare or in an FDL file, as clients send it; without what the server sets.

    Raises Invalid naming the field by its path (`input[1].path`), TooLarge.
    """
    document = unwrap_fdl(parse_document(raw))
    given = {key: value for key, value in document.items() if key.lower() not in SERVER_SET}
    try:
        service = Service.model_validate(given)
    except ValidationError as error:
        raise _invalid(error) from error
    if len(json.dumps(service.model_dump(mode="json"), ensure_ascii=False).encode()) > DEFINITION_LIMIT:
        raise TooLarge(f"the definition has more than {DEFINITION_LIMIT} bytes")
    return service


def complete(requested: Service, *, token: str, owner: str, previous: Service | None = None) -> Service:
    """With what the server sets. Secrets of `previous`, which it replaces, stay unless it mentions them."""
    labels = {
        **requested.labels,
        "oscar.grycap/user-service": "true",
        "oscar_service": requested.name,
        "owner_name": label_text(owner),
    }
    if requested.vo:
        labels["vo"] = label_text(requested.vo.replace("/", "--").replace(" ", "__").replace(":", "___"))
    environment = requested.environment
    if previous is not None:
        environment = environment.keeping(previous.environment.secrets)
    return requested.model_copy(
        update={"token": token, "owner": owner, "labels": labels, "environment": environment}
    )


def service_dict(service: Service, *, store: MinioProvider | None = None) -> dict[str, object]:
    """For an answer: OSCAR's fields in its order, with its omissions; no secret, no password of a cluster.

    `store` says how clients reach our own store: it is shown, without its keys, as provider `minio.default`.
    """
    shown = service.model_dump(mode="json")
    shown["input"] = [_rule(rule) for rule in service.input]
    shown["output"] = [_rule(rule) for rule in service.output]
    shown["environment"]["secrets"] = dict.fromkeys(service.environment.secrets, "")
    shown["storage_providers"] = _providers(service, store or MinioProvider())
    shown["clusters"] = {
        name: {
            "endpoint": one.endpoint,
            "auth_user": one.auth_user,
            "auth_password": "",
            "ssl_verify": one.ssl_verify,
        }
        for name, one in service.clusters.items()
    }
    shown["expose"] = _expose(shown["expose"])
    shown["mount"] = _rule(service.mount) if service.mount else {"storage_provider": "", "path": ""}
    answer: dict[str, object] = {}
    for field, value in shown.items():
        if value or field not in _OMITTED:
            answer[field] = value
        answer |= _ANSWERED_AFTER.get(field, {})
    return answer


_OMITTED = frozenset({"federation", "image_pull_secrets", "clusters", "volume", "kserve"})
"""When unset. What else is empty is shown so: the dashboard reads it without asking whether it is there."""

_ANSWERED_AFTER: dict[str, dict[str, object]] = {
    "isolation_level": {"bucket_list": []},
    "volume": {"volume_status": {"enabled": False}},
}
"""Fields that only answers have, and what they follow."""


def _rule(rule: StorageRule) -> dict[str, object]:
    """Two keys when the rest is empty: clients' tests look for exactly that."""
    dumped: dict[str, object] = rule.model_dump(mode="json")
    return {key: value for key, value in dumped.items() if value or key in ("storage_provider", "path")}


def _expose(dumped: dict[str, object]) -> dict[str, object]:
    """Ports as lists, as in OSCAR since 4.1, and no key when unset: older clients cannot read a list."""
    spelled = {"nodePort" if key == "nodeport" else key: value for key, value in dumped.items()}
    return {key: value for key, value in spelled.items() if value or key not in ("api_port", "nodePort")}


def _providers(service: Service, store: MinioProvider) -> dict[str, object]:
    dumped = service.storage_providers.model_dump(mode="json")
    own = store.model_copy(update={"access_key": HIDDEN, "secret_key": HIDDEN})
    dumped["minio"] = {"default": own.model_dump(mode="json"), **dumped["minio"]}
    return {kind: providers for kind, providers in dumped.items() if providers}


def _invalid(error: ValidationError) -> Invalid:
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    told = "; ".join(f"{_path(fault)}: {_sentence(fault)}" for fault in faults[:3])
    return Invalid(told, field=_path(faults[0]))


def _path(fault: ErrorDetails) -> str:
    """`input[1].path`. Keys come from the caller: made printable, and cut."""
    path = ""
    for step in fault["loc"]:
        if isinstance(step, int):
            path += f"[{step}]"
        elif step != "[key]":
            path += f".{step[:80]}"
    return "".join(char if char.isprintable() else "?" for char in path.lstrip("."))[:200]


def _sentence(fault: ErrorDetails) -> str:
    return _FAULTS.get(fault["type"], fault["msg"].removeprefix("Value error, ").removeprefix("Input "))
