"""A JSON object as a request's body, read as OSCAR does: any Content-Type, keys in any case, null means
not given."""

import json
from collections.abc import Mapping
from typing import Any

from gateway.domain.problems import Invalid


def parse_object(raw: bytes) -> dict[str, Any]:
    """Its top-level keys in lower case, those with null left out. Raises Invalid with one line that says
    where it is wrong."""
    try:
        parsed = json.loads(raw.decode("utf-8-sig"))
    except (UnicodeDecodeError, RecursionError) as error:
        raise Invalid("the body is not JSON in UTF-8", field="body") from error
    except ValueError as error:
        raise Invalid(f"the body is not JSON: {error}", field="body") from error
    if not isinstance(parsed, dict):
        raise Invalid("the body must be a JSON object", field="body")
    return {key.lower(): value for key, value in parsed.items() if value is not None}


def text(body: Mapping[str, Any], name: str, *, default: str = "") -> str:
    value = body.get(name, default)
    if not isinstance(value, str):
        raise Invalid(f"{name}: a string is needed", field=name)
    return value


def texts(body: Mapping[str, Any], name: str, *, most: int = 1000) -> tuple[str, ...]:
    """A list of strings, trimmed, blanks dropped."""
    value = body.get(name, [])
    if not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
        raise Invalid(f"{name}: a list of strings is needed", field=name)
    if len(value) > most:
        raise Invalid(f"{name}: at most {most} entries", field=name)
    return tuple(one.strip() for one in value if one.strip())


def number(body: Mapping[str, Any], name: str) -> int:
    """0 if it is not given."""
    value = body.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Invalid(f"{name}: a whole number is needed", field=name)
    return value


def text_map(body: Mapping[str, Any], name: str) -> dict[str, str]:
    value = body.get(name, {})
    if not (isinstance(value, dict) and all(isinstance(one, str) for one in value.values())):
        raise Invalid(f"{name}: an object of strings is needed", field=name)
    return value
