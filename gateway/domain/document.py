"""A document: the JSON or YAML text of a definition as plain values. It knows nothing of services."""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal

from gateway.domain.problems import Invalid, TooLarge
from gateway.domain.yaml_document import parse_yaml

DOCUMENT_LIMIT = 4 << 20
"""Bytes. JSON may spell a character of four bytes in twelve."""
DEPTH_LIMIT = 24
VALUES_LIMIT = 100_000
"""On one level."""

_HALF = re.compile("[\ud800-\udfff]")


def parse_document(raw: bytes) -> Mapping[str, object]:
    """The object a body holds, whatever its Content-Type. Fractions become Decimals, which keep their digits.

    Raises Invalid with the place of the fault, on one line; TooLarge.
    """
    if len(raw) > DOCUMENT_LIMIT:
        raise TooLarge(f"the definition has more than {DOCUMENT_LIMIT} bytes")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid(f"the body is not UTF-8 text: byte {error.start} cannot be read") from error
    bare = text.lstrip()
    if not bare:
        raise Invalid("the body is empty")
    document = _parse_json(text) if bare[0] in "{[" else parse_yaml(text)
    if not isinstance(document, Mapping):
        raise Invalid("the body must hold one object: a JSON object or a YAML mapping")
    _require_plain(document)
    return document


def _parse_json(text: str) -> object:
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Invalid(f"the body is not valid JSON: {error.msg}, {where}") from error
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:  # a number of thousands of digits
        raise Invalid("the body is not valid JSON: a number in it is too long") from error


def _refuse(constant: str) -> object:
    raise Invalid(f"the body is not valid JSON: {constant} is not a value of JSON")


def _require_plain(document: object) -> None:
    """Neither too deep nor too wide, and all of its text such that it can be written down again."""
    level = [document]
    for _ in range(DEPTH_LIMIT):
        level = [inner for outer in level for inner in _inside(outer)]
        if len(level) > VALUES_LIMIT:
            raise TooLarge(f"the definition holds more than {VALUES_LIMIT} values")
    if level:
        raise _too_deep()


def _inside(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from value
        yield from value.values()
    elif isinstance(value, list):
        yield from value
    elif isinstance(value, str) and _HALF.search(value):
        raise Invalid("the body holds half of a surrogate pair, which is not text")


def _too_deep() -> Invalid:
    return Invalid(f"the body is nested more than {DEPTH_LIMIT} levels deep")
