"""Names of services, buckets, variables, labels. A check returns the name as it is, or raises ValueError."""

import re

SERVICE_NAME_LIMIT = 39
"""OSCAR's own limit."""

_SERVICE = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]")
_ADDRESS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,511}")
_DOMAIN = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_LABEL_WORD = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_LABEL_KEY = re.compile(rf"(?:(?=[^/]{{1,253}}/){_DOMAIN}(?:\.{_DOMAIN})*/)?{_LABEL_WORD}")
_LABEL_VALUE = re.compile(rf"(?:{_LABEL_WORD})?")


def service_name(text: str) -> str:
    """A DNS-1123 label of at most 39 characters: a host's name, and the beginning of a Kubernetes Job's."""
    if len(text) > SERVICE_NAME_LIMIT:
        raise ValueError(f"has more than {SERVICE_NAME_LIMIT} characters")
    if not _SERVICE.fullmatch(text):
        raise ValueError("must consist of a-z, 0-9 and '-', and begin and end with a letter or digit")
    return text


def bucket_name(text: str) -> str:
    """S3's rules for buckets that any store takes."""
    if not _BUCKET.fullmatch(text) or _ADDRESS.fullmatch(text):
        raise ValueError(
            f"{shown(text)} cannot be a bucket: 3 to 63 of a-z, 0-9, '-', '.', a letter or digit at both ends"
        )
    return text


def variable_name(text: str) -> str:
    """What a POSIX shell can read as `$NAME`."""
    if not _VARIABLE.fullmatch(text):
        raise ValueError("is not the name of a variable: letters, digits and '_', not beginning with a digit")
    return text


def image_name(text: str) -> str:
    """A container image's reference; whether there is such an image is found out when it is pulled."""
    if not _IMAGE.fullmatch(text):
        raise ValueError("is not the name of a container image")
    return text


def label_key(text: str) -> str:
    """A Kubernetes label's or annotation's name, with or without `prefix/`."""
    if not _LABEL_KEY.fullmatch(text):
        raise ValueError(
            "cannot name a label or annotation: letters, digits, '-', '_', '.', an optional 'domain/' before"
        )
    return text


def label_value(text: str) -> str:
    """A Kubernetes label's value."""
    if not _LABEL_VALUE.fullmatch(text):
        raise ValueError("cannot be a label's value: at most 63 letters, digits, '-', '_' and '.'")
    return text


def label_text(text: str) -> str:
    """Any text made a label's value: what may not be in one becomes `_`."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", text)[:63].strip("._-")


def shown(text: str) -> str:
    """Text of the caller's as one quoted, bounded, printable piece of a message."""
    cut = text if len(text) <= 60 else text[:57] + "..."
    return "'" + "".join(char if char.isprintable() else "?" for char in cut) + "'"
