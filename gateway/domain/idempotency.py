"""Idempotency keys: what a client calls a request by, so that sending it twice does it once."""

import re

from gateway.domain.problems import Invalid

KEY_LIMIT = 255

_QUOTED = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"(?: *;[\x20-\x7e]*)?')
_BARE = re.compile(r"[!#-+\--:<-\[\]-~]+")
"""Visible ASCII but for `"`, `,`, `;` and a backslash: from clients that know no structured fields."""


def parse_idempotency_key(value: str) -> str:
    """The key of an `Idempotency-Key` header: a structured field's string, or 1 to 255 characters bare.

    Source: draft-ietf-httpapi-idempotency-key-header; RFC 8941, section 3.3.3. Raises Invalid.
    """
    text = value.strip(" \t")
    if len(text) <= 4 * KEY_LIMIT:
        quoted = _QUOTED.fullmatch(text)
        key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text if _BARE.fullmatch(text) else ""
        if 1 <= len(key) <= KEY_LIMIT:
            return key
    raise Invalid(
        f"Idempotency-Key: must be one quoted string of 1 to {KEY_LIMIT} ASCII characters",
        field="Idempotency-Key",
    )
