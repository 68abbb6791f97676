"""A deployed service as bytes: the YAML that the directory keeps, secrets and all."""

from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from gateway.domain.deployed import Deployed

OTHER_BREAKS = frozenset("\r\x85\u2028\u2029")
"""Line ends beside the newline: a YAML reader makes newlines of them, unless they are escaped."""

_DEPLOYED = TypeAdapter(Deployed)
# The C parser, where there is one: thousands of services may be read at a start, and it is ten times as fast.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class RecordError(Exception):
    """Not a record; says why without repeating what is in it."""


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines, as scripts are, line by line."""


def record_bytes(deployed: Deployed) -> bytes:
    document = _DEPLOYED.dump_python(deployed, mode="json")
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, encoding="utf-8")


def parse_record(raw: bytes) -> Deployed:
    """Raises RecordError."""
    try:
        return _DEPLOYED.validate_python(yaml.load(raw, Loader=_Loader))  # noqa: S506, a safe loader
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise RecordError(f"{place or 'document'}: {first['msg']}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RecordError(f"not YAML: {type(error).__name__}") from None


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    if not OTHER_BREAKS.isdisjoint(text):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
