"""Conditions: the If-* headers of reads, writes and copies (RFC 9110, section 13, as S3 has it)."""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from gateway.backends.objects.embedded.face.errors import S3Error
from gateway.backends.objects.embedded.face.requests import S3Request
from gateway.backends.objects.embedded.object_rows import Guard
from gateway.backends.objects.embedded.version import Version
from gateway.backends.objects.refusals import ObjectMissing, PreconditionFailed

COPY_SOURCE = "x-amz-copy-source-"


def http_date(version: Version) -> str:
    """Its modification time for Last-Modified: cut to seconds, as everywhere in HTTP."""
    return format_datetime(version.modified_at, usegmt=True)


def require_readable(request: S3Request, version: Version) -> None:
    """Raises S3Error PreconditionFailed, or NotModified (304)."""
    if unmet := _unmet(version, request.header):
        fresh = unmet in ("if-none-match", "if-modified-since")
        code = "NotModified" if fresh else "PreconditionFailed"
        raise S3Error(code, f"the condition {unmet} does not hold")


def require_copyable(request: S3Request, version: Version) -> None:
    """Raises PreconditionFailed."""
    if unmet := _unmet(version, lambda name: request.header(COPY_SOURCE + name)):
        raise PreconditionFailed(COPY_SOURCE + unmet)


def write_guard(request: S3Request) -> Guard:
    """If-Match and If-None-Match of a PUT or DELETE, against what stands there at that moment."""
    if_match, if_none_match = request.header("if-match"), request.header("if-none-match")

    def guard(current: Version | None) -> None:
        if if_none_match and current is not None and _names(if_none_match, current):
            raise PreconditionFailed("if-none-match")
        if if_match and current is None:
            raise ObjectMissing(request.bucket, request.key)
        if if_match and current is not None and not _names(if_match, current):
            raise PreconditionFailed("if-match")

    return guard


def _unmet(version: Version, header: Callable[[str], str]) -> str:
    """The first header whose condition does not hold; a date counts only without its ETag sibling.

    Empty: all hold.
    """
    if etags := header("if-match"):
        if not _names(etags, version):
            return "if-match"
    elif (moment := _date(header("if-unmodified-since"))) and _modified_s(version) > moment:
        return "if-unmodified-since"
    if etags := header("if-none-match"):
        if _names(etags, version):
            return "if-none-match"
    elif (moment := _date(header("if-modified-since"))) and _modified_s(version) <= moment:
        return "if-modified-since"
    return ""


def _names(etags: str, version: Version) -> bool:
    """Whether `*` or one of the ETags, quoted or not, is this version's."""
    listed = {each.strip().removeprefix("W/").strip('"') for each in etags.split(",")}
    return "*" in listed or version.etag in listed


def _modified_s(version: Version) -> datetime:
    return version.modified_at.replace(microsecond=0)


def _date(text: str) -> datetime | None:
    """None for what is no date: RFC 9110 has it ignored."""
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
