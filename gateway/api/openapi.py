"""`/openapi.json`: the routes described for programs, made from the same table that serves them."""

import re
from collections.abc import Iterable
from typing import Any

from starlette.responses import Response

import gateway
from gateway.api.answers import json_answer
from gateway.api.errors import PROBLEM_JSON
from gateway.api.guard import Access
from gateway.api.operations import Ask, Operation

SECURITY: dict[Access, list[dict[str, list[str]]]] = {
    Access.PUBLIC: [],
    Access.ADMINISTRATOR: [{"basic": []}],
    Access.USER: [{"basic": []}, {"oidc": []}],
    Access.SERVICE: [{"serviceToken": []}, {"basic": []}, {"oidc": []}],
    Access.CALL: [{"serviceToken": []}, {"basic": []}, {"oidc": []}],
    Access.EVENTS: [{"eventsToken": []}],
    Access.CLAIM: [{"claim": []}],
}

SCHEMES = {
    "basic": {"type": "http", "scheme": "basic"},
    "oidc": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A user's token, signed by one of OIDC_ISSUERS",
    },
    "serviceToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "A service's own token: 64 characters",
    },
    "claim": {"type": "http", "scheme": "bearer", "description": "The claim in the attempt's pod"},
    "eventsToken": {"type": "http", "scheme": "bearer", "description": "EVENTS_TOKEN"},
}

PROBLEM = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "format": "uri-reference"},
        "retryable": {"type": "boolean"},
        "field": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail", "instance", "retryable"],
}


async def describe(ask: Ask) -> Response:
    return json_answer(document(ask.site.operations))


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """OpenAPI 3.1."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _describe(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "oscar-gateway",
            "version": gateway.__version__,
            "description": "OSCAR's HTTP API, and what this gateway adds to it.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"securitySchemes": SCHEMES, "schemas": {"Problem": PROBLEM}},
    }


def _describe(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": _id(operation),
        "summary": operation.summary,
        "security": SECURITY[operation.access],
        "parameters": [
            *(_parameter("path", name, "") for name in re.findall(r"{(\w+)}", operation.path)),
            *(_parameter("query", name, meaning) for name, meaning in operation.query.items()),
            *(_parameter("header", name, meaning) for name, meaning in operation.headers.items()),
        ],
        "responses": {
            **{str(status): {"description": meaning} for status, meaning in operation.answers.items()},
            "default": {
                "description": "A problem: one line of text on OSCAR's routes, problem details under /v1",
                "content": {
                    PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}},
                    "text/plain": {"schema": {"type": "string"}},
                },
            },
        },
    }
    if operation.takes:
        described["requestBody"] = {"description": operation.takes, "content": {"*/*": {}}}
    return described


def _id(operation: Operation) -> str:
    return "-".join([operation.method.lower(), *re.findall(r"\w+", operation.path)])


def _parameter(place: str, name: str, meaning: str) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": name,
        "in": place,
        "required": place == "path",
        "schema": {"type": "string"},
    }
    if meaning:
        described["description"] = meaning
    return described
