"""Preferences: a client's wishes, no reason to refuse it (RFC 7240): `respond-async` and `wait`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

HEADERS_LIMIT = 8192
"""Characters looked at: what comes after them is as if it had not been sent."""

_BETWEEN_COMMAS = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*"|")+')
_SECONDS = re.compile(r'"([0-9]{1,9})"|([0-9]{1,9})')


@dataclass(frozen=True, slots=True)
class Preferences:
    """`wait_s` is what was asked for, however long; what is honoured is the caller's to say."""

    respond_async: bool = False
    wait_s: int | None = None


def parse_prefer(headers: Iterable[str]) -> Preferences:
    """From all `Prefer` headers, in order. The first value of a preference counts; unknown ones do not."""
    first: dict[str, str] = {}
    for element in _BETWEEN_COMMAS.findall(",".join(headers)[:HEADERS_LIMIT]):
        name, _, value = element.partition(";")[0].partition("=")
        first.setdefault(name.strip().lower(), value.strip())
    seconds = _SECONDS.fullmatch(first.get("wait", ""))
    return Preferences(
        respond_async=first.get("respond-async") in ("", '""'),
        wait_s=int(seconds[1] or seconds[2]) if seconds else None,
    )
