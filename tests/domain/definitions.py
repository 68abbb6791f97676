"""Definitions for the tests of this folder."""

import json

from gateway.domain.service import Service, parse_service


def body(**fields: object) -> bytes:
    """The least a definition needs, and `fields`, as JSON."""
    return json.dumps({"name": "cowsay", "image": "a/cowsay:1", "script": "cowsay moo", **fields}).encode()


def service(**fields: object) -> Service:
    return parse_service(body(**fields))
