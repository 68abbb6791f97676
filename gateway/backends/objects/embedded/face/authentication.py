"""Authentication: who signed a request, in its headers or in its query, and whether the signature is right.

There is one credential and no anonymous access. The region of a signature is taken as it comes: clients
differ in what they sign for, and it is no boundary here.
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gateway.backends.objects.embedded.face.errors import S3Error
from gateway.backends.objects.embedded.face.requests import S3Request
from gateway.backends.objects.presign import EXPIRY_LIMIT_S
from gateway.backends.objects.protocol import Provider
from gateway.backends.objects.sigv4 import (
    ALGORITHM,
    TIME_FORMAT,
    UNSIGNED_PAYLOAD,
    Signing,
    request_digest,
    signing,
)

SKEW = timedelta(minutes=15)

_TIME = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_SIGNATURE = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says of its signature; not checked yet."""

    access_key: str
    date: str
    region: str
    signed_headers: tuple[str, ...]
    signature: str


@dataclass(frozen=True, slots=True)
class Identity:
    """A request proven to be signed. `payload` is a SHA-256 in hex or one of the words S3 has for other
    kinds; with `signing` and `signature` begins the chain of signed chunks."""

    signing: Signing
    signature: str
    payload: str


def authenticate(request: S3Request, provider: Provider, *, now: datetime) -> Identity:
    """Who sent it. Raises S3Error with the code that says what is wrong."""
    if authorization := request.header("authorization"):
        return _from_headers(request, parse_authorization(authorization), provider, now)
    if "X-Amz-Signature" in request.query:
        return _from_query(request, provider, now)
    if "Signature" in request.query:
        raise S3Error("InvalidRequest", f"the only signature that is taken is {ALGORITHM}")
    raise S3Error("AccessDenied", "the request is not signed")


def parse_authorization(text: str) -> Claim:
    """The Authorization header. Raises S3Error, and nothing else, whatever the text."""
    scheme, _, rest = text.partition(" ")
    if scheme != ALGORITHM:
        raise S3Error("InvalidRequest", f"the only signature that is taken is {ALGORITHM}")
    fields = dict(_field(part) for part in rest.split(","))
    try:
        return _claim(fields["Credential"], fields["SignedHeaders"], fields["Signature"])
    except KeyError as missing:
        raise S3Error("AuthorizationHeaderMalformed", f"it lacks {missing}") from None


def _field(part: str) -> tuple[str, str]:
    name, _, value = part.strip().partition("=")
    return name, value


def _claim(credential: str, signed_headers: str, signature: str) -> Claim:
    parts = credential.rsplit("/", 4)
    if len(parts) != 5 or parts[3:] != ["s3", "aws4_request"] or not _SIGNATURE.fullmatch(signature):
        raise S3Error("AuthorizationHeaderMalformed", "credential or signature has another form")
    headers = tuple(signed_headers.split(";"))
    if list(headers) != sorted(set(headers)) or "host" not in headers:
        raise S3Error("AuthorizationHeaderMalformed", "signed headers must be sorted, and host among them")
    return Claim(
        access_key=parts[0], date=parts[1], region=parts[2], signed_headers=headers, signature=signature
    )


def _from_headers(request: S3Request, claim: Claim, provider: Provider, now: datetime) -> Identity:
    time = request.header("x-amz-date")
    if abs(now - _moment(time)) > SKEW:
        raise S3Error("RequestTimeTooSkewed", "the request's time is more than 15 minutes from ours")
    payload = request.header("x-amz-content-sha256")
    if not payload:
        raise S3Error("InvalidRequest", "the header x-amz-content-sha256 is missing")
    return _verified(request, claim, provider, time=time, payload=payload, pairs=request.pairs)


def _from_query(request: S3Request, provider: Provider, now: datetime) -> Identity:
    query = request.query
    if query.get("X-Amz-Algorithm") != ALGORITHM:
        raise S3Error("AuthorizationQueryParametersError", f"X-Amz-Algorithm must be {ALGORITHM}")
    time, expires = query.get("X-Amz-Date", ""), query.get("X-Amz-Expires", "")
    if not re.fullmatch(r"\d{1,6}", expires, re.ASCII) or not 1 <= int(expires) <= EXPIRY_LIMIT_S:
        raise S3Error("AuthorizationQueryParametersError", f"X-Amz-Expires must be 1 to {EXPIRY_LIMIT_S}")
    claim = _claim(
        query.get("X-Amz-Credential", ""), query.get("X-Amz-SignedHeaders", ""), query["X-Amz-Signature"]
    )
    if _moment(time) - now > SKEW:
        raise S3Error("AccessDenied", "the request is not valid yet")
    if now > _moment(time) + timedelta(seconds=int(expires)):
        raise S3Error("AccessDenied", "Request has expired")
    signed_payload = "x-amz-content-sha256" in claim.signed_headers
    payload = request.header("x-amz-content-sha256") if signed_payload else UNSIGNED_PAYLOAD
    pairs = tuple(pair for pair in request.pairs if pair[0] != "X-Amz-Signature")
    return _verified(request, claim, provider, time=time, payload=payload, pairs=pairs)


def _verified(
    request: S3Request,
    claim: Claim,
    provider: Provider,
    *,
    time: str,
    payload: str,
    pairs: tuple[tuple[str, str], ...],
) -> Identity:
    if not hmac.compare_digest(claim.access_key.encode("utf-8", "replace"), provider.access_key.encode()):
        raise S3Error("InvalidAccessKeyId", "there is no such access key")
    if claim.date != time[:8]:
        raise S3Error("AuthorizationHeaderMalformed", "the credential is of another day than the request")
    headers = _signed(request, claim.signed_headers)
    signer = signing(provider.secret_key, region=claim.region, time=time)
    digest = request_digest(request.method, request.path, pairs, headers.items(), payload)
    if not hmac.compare_digest(signer.sign(ALGORITHM, digest), claim.signature):
        raise S3Error(
            "SignatureDoesNotMatch", "the signature is not right: check the secret key and what is signed"
        )
    return Identity(signer, claim.signature, payload)


def _signed(request: S3Request, names: tuple[str, ...]) -> Mapping[str, str]:
    """The signed headers.

    Raises S3Error when S3's own headers came along unsigned: anybody may have added them.
    """
    there = request.http.headers
    unsigned = sorted(name for name in there if name.startswith("x-amz-") and name not in names)
    if unsigned:
        raise S3Error("AccessDenied", f"the header {unsigned[0]} is not signed")
    if missing := [name for name in names if name not in there]:
        raise S3Error("AccessDenied", f"the signed header {missing[0]} did not come")
    return {name: ",".join(there.getlist(name)) for name in names}


def _moment(time: str) -> datetime:
    try:
        if not _TIME.fullmatch(time):
            raise ValueError
        return datetime.strptime(time, TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise S3Error("AccessDenied", "a signed request needs its time as X-Amz-Date") from None
