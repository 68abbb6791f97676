"""A request's head, once it was read: its ASGI scope, how long its body is, and what is refused however well
a parser copes with it."""

import urllib.parse
from collections.abc import Mapping
from typing import Any

import httptools

from gateway.domain.headers import Headers


def scope_of(
    url: bytes, headers: Headers, peers: Mapping[str, Any], *, method: str, version: str
) -> dict[str, Any]:
    """`peers` are `client` and `server` as ASGI has them."""
    if not url.startswith(b"/"):
        parsed = httptools.parse_url(url)
        url = (parsed.path or b"/") + (b"?" + parsed.query if parsed.query else b"")
    raw_path, _, query = url.partition(b"?")
    path = raw_path.decode("ascii")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": version,
        "scheme": "http",
        "root_path": "",
        "method": method,
        "path": urllib.parse.unquote(path) if "%" in path else path,
        "raw_path": raw_path,
        "query_string": query,
        "headers": headers,
        **peers,
    }


def check_headers(headers: Headers, *, version: str) -> bool:
    """Whether the client waits to be told to go on. Raises ValueError for what other servers may read in
    another way than we do: two hosts, a coding besides the chunks."""
    hosts, expects_continue = 0, False
    for name, value in headers:
        if name == b"host":
            hosts += 1
        elif name == b"expect":
            expects_continue = value.lower() == b"100-continue"
        elif name == b"transfer-encoding" and value.strip().lower() != b"chunked":
            raise ValueError("a transfer coding that nobody asked for")
    if hosts > 1 or (hosts == 0 and version != "1.0"):
        raise ValueError("not one Host header")
    return expects_continue


def declared_bytes(headers: Headers) -> int:
    """The length of the body, if it is declared, as the parser has found it right; else 0."""
    for name, value in headers:
        if name == b"content-length":
            return int(value) if value.isdigit() and len(value) < 20 else 0
    return 0
