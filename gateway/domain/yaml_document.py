"""YAML as plain values: what JSON could say too, and no more.

So `yes` and `2024-01-01` stay text, as do `0123` and `0x1F`. Tags other than `!!str` are refused, and so are
aliases, by which a kilobyte grows to gigabytes.
"""

import re
from collections.abc import Iterator
from decimal import Decimal

import yaml

from gateway.domain.problems import Invalid, TooLarge

YAML_LIMIT = 1 << 20
YAML_EVENTS_LIMIT = 50_000
"""Values, keys and brackets; more would hold up everything else for a second."""
YAML_DEPTH_LIMIT = 100

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TEXT_TAGS = (None, "!", "tag:yaml.org,2002:str")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,99})")
_FRACTION = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}


def parse_yaml(text: str) -> object:
    """One document's value. Raises Invalid with line and column, on one line; TooLarge."""
    if len(text) > YAML_LIMIT:
        raise TooLarge(f"YAML of more than {YAML_LIMIT} characters is not read; send JSON")
    document: object = None
    documents = 0
    try:
        events = _few(yaml.parse(text, Loader=_LOADER))
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                document = _value(next(events), events, depth=0)
                documents += 1
    except yaml.MarkedYAMLError as error:
        raise Invalid(f"the body is not valid YAML: {error.problem}{_place(error.problem_mark)}") from error
    except yaml.YAMLError as error:
        raise Invalid("the body is not valid YAML: it holds a character that YAML does not allow") from error
    if documents != 1:
        raise Invalid(f"the body must hold one YAML document, not {documents}")
    return document


def _few(events: Iterator[yaml.Event]) -> Iterator[yaml.Event]:
    for number, event in enumerate(events):
        if number > YAML_EVENTS_LIMIT:
            raise TooLarge(f"the YAML holds more than {YAML_EVENTS_LIMIT} values; send JSON")
        yield event


def _value(event: yaml.Event, events: Iterator[yaml.Event], *, depth: int) -> object:
    if depth > YAML_DEPTH_LIMIT:
        raise Invalid(f"the YAML is nested more than {YAML_DEPTH_LIMIT} levels deep")
    match event:
        case yaml.ScalarEvent():
            return _scalar(event)
        case yaml.SequenceStartEvent(tag=None | "!"):
            return [_value(inner, events, depth=depth + 1) for inner in _until(yaml.SequenceEndEvent, events)]
        case yaml.MappingStartEvent(tag=None | "!"):
            return {
                _key(key): _value(next(events), events, depth=depth + 1)
                for key in _until(yaml.MappingEndEvent, events)
            }
        case yaml.AliasEvent():
            raise Invalid(f"YAML aliases are not read{_place(event.start_mark)}")
        case _:
            raise Invalid(f"YAML tags are not read{_place(event.start_mark)}")


def _until(end: type[yaml.Event], events: Iterator[yaml.Event]) -> Iterator[yaml.Event]:
    for event in events:
        if isinstance(event, end):
            return
        yield event


def _key(event: yaml.Event) -> str:
    if not isinstance(event, yaml.ScalarEvent):
        raise Invalid(f"a key of YAML must be text{_place(event.start_mark)}")
    return str(event.value)


def _scalar(event: yaml.ScalarEvent) -> object:
    text = str(event.value)
    if event.tag not in _TEXT_TAGS:
        raise Invalid(f"YAML tags are not read{_place(event.start_mark)}")
    plain = event.implicit[0]
    if not plain:
        return text
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    return Decimal(text) if _FRACTION.fullmatch(text) else text


def _place(mark: object) -> str:
    """The two parsers' marks are two types."""
    line, column = getattr(mark, "line", None), getattr(mark, "column", None)
    return "" if line is None or column is None else f", line {line + 1}, column {column + 1}"
