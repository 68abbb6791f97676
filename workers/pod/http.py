"""HTTP as a pod needs it: one request after another over the standard library's client, bodies from and into
files, every wait bounded. Blocking."""

import http.client
import json
import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import BinaryIO
from urllib.parse import urlsplit

from gateway.domain.problems import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Problem,
    StorageFull,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

SILENCE_S = 60.0
PROBLEMS: dict[int, type[Problem]] = {
    400: Invalid,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    507: StorageFull,
}
DETAIL_BYTES = 2048
TOO_LARGE = "<Code>EntityTooLarge</Code>"
"""What stores answer 400 with."""


class Http:
    """Keeps a connection to each host. For one thread at a time."""

    def __init__(self, *, verify: bool = True) -> None:
        self._verify = verify
        self._open: dict[tuple[str, str], http.client.HTTPConnection] = {}

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | BinaryIO | None = None,
        size_bytes: int = 0,
    ) -> http.client.HTTPResponse:
        """The answer, not yet read, if it is a success. Raises Problems, by status; Unavailable for what may
        be better later."""
        parts = urlsplit(url)
        where = (parts.scheme, parts.netloc)
        kept = where in self._open
        try:
            answer = self._exchange(method, url, headers, body, size_bytes)
        except (OSError, http.client.HTTPException) as error:
            self._drop(where)
            # The other side may have closed a connection that was kept; a file that was begun is begun anew.
            if kept:
                return self.send(method, url, headers=headers, body=_rewound(body), size_bytes=size_bytes)
            raise Unavailable(f"no answer from {parts.hostname}: {type(error).__name__}") from error
        if answer.status >= 300:
            raise _refusal(answer)
        return answer

    def close(self) -> None:
        for where in tuple(self._open):
            self._drop(where)

    def _exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | BinaryIO | None,
        size_bytes: int,
    ) -> http.client.HTTPResponse:
        parts = urlsplit(url)
        connection = self._connection(parts.scheme, parts.netloc)
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        length = {} if body is None else {"Content-Length": str(size_bytes)}
        connection.request(method, target, body=body, headers={**headers, **length})
        return connection.getresponse()

    def _connection(self, scheme: str, netloc: str) -> http.client.HTTPConnection:
        found = self._open.get((scheme, netloc))
        if found is None:
            if scheme == "https":
                context = ssl.create_default_context()
                if not self._verify:
                    context.check_hostname = False
                    context.verify_mode = ssl.CERT_NONE
                found = http.client.HTTPSConnection(netloc, timeout=SILENCE_S, context=context)
            else:
                found = http.client.HTTPConnection(netloc, timeout=SILENCE_S)
            self._open[scheme, netloc] = found
        return found

    def _drop(self, where: tuple[str, str]) -> None:
        connection = self._open.pop(where, None)
        if connection is not None:
            connection.close()


def _rewound(body: bytes | BinaryIO | None) -> bytes | BinaryIO | None:
    if body is not None and not isinstance(body, bytes):
        body.seek(0)
    return body


def _refusal(answer: http.client.HTTPResponse) -> Problem:
    try:
        told = _told(answer.read(DETAIL_BYTES))
        answer.read()
    except (OSError, http.client.HTTPException) as error:
        return Unavailable(f"the answer {answer.status} was cut: {type(error).__name__}")
    if TOO_LARGE in told:
        return TooLarge("the object store does not take an object this large")
    kind = PROBLEMS.get(answer.status, Unavailable if answer.status in (408, 425, 429) else None)
    if kind is None:
        kind = Unavailable if answer.status >= 500 else Invalid
    return kind(f"status {answer.status}: {told[:300]}")


def _told(body: bytes) -> str:
    """One line: a problem's detail, of anything else what it says."""
    with suppress(ValueError, KeyError, TypeError):
        return str(json.loads(body)["detail"])
    return " ".join(body.decode("utf-8", "replace").split())
