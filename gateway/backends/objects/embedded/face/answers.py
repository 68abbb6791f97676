"""Answers: the shapes several operations answer in."""

from datetime import datetime
from urllib.parse import quote

from starlette.responses import Response

from gateway.backends.objects.markup import document


def empty(status: int = 204, headers: dict[str, str] | None = None) -> Response:
    return Response(status_code=status, headers=headers)


def xml(root: str, *content: str, headers: dict[str, str] | None = None) -> Response:
    """A document with this root in S3's namespace."""
    return Response(document(root, *content), media_type="application/xml", headers=headers)


def timestamp(moment: datetime) -> str:
    """UTC with milliseconds, as S3 writes times in documents."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def quoted(etag: str) -> str:
    return f'"{etag}"'


def url_encoded(text: str) -> str:
    """As `encoding-type=url` wants it; blanks as %20, which every client decodes."""
    return quote(text, safe="/~")
