"""Presigned URLs: one request on one object, signed in the query, without any other credential."""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

from gateway.backends.objects.protocol import Provider, UploadPart
from gateway.backends.objects.sigv4 import (
    ALGORITHM,
    UNSIGNED_PAYLOAD,
    encoded,
    request_digest,
    signed_time,
    signing,
)
from gateway.domain.problems import Invalid

EXPIRY_LIMIT_S = 604800


def presigned_url(
    provider: Provider,
    method: str,
    path: str,
    *,
    expires_s: int,
    now: datetime,
    headers: Mapping[str, str],
    query: Mapping[str, str] | None = None,
) -> str:
    """A URL at the provider's endpoint. `path` is `/<bucket>/<key>`, not encoded; `headers` must come with
    the request, `query` is part of it.

    Raises Invalid for the expiry.
    """
    if not 1 <= expires_s <= EXPIRY_LIMIT_S:
        raise Invalid(f"a link lasts 1 to {EXPIRY_LIMIT_S} seconds", field="expires_in")
    signed = {name.lower(): value for name, value in headers.items()} | {"host": host_of(provider.endpoint)}
    signer = signing(provider.secret_key, region=provider.region, time=signed_time(now))
    asked = {
        **(query or {}),
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{provider.access_key}/{signer.scope}",
        "X-Amz-Date": signer.time,
        "X-Amz-Expires": str(expires_s),
        "X-Amz-SignedHeaders": ";".join(sorted(signed)),
    }
    digest = request_digest(method, path, asked.items(), signed.items(), UNSIGNED_PAYLOAD)
    asked["X-Amz-Signature"] = signer.sign(ALGORITHM, digest)
    text = "&".join(f"{encoded(name)}={encoded(value)}" for name, value in asked.items())
    return f"{provider.endpoint.rstrip('/')}{encoded(path, safe='/')}?{text}"


def part_query(part: UploadPart) -> dict[str, str]:
    """What makes a PUT that of a part."""
    return {"partNumber": str(part.number), "uploadId": part.upload}


def host_of(endpoint: str) -> str:
    """As clients send it: without the scheme's own port."""
    parts = urlsplit(endpoint)
    default = f":{443 if parts.scheme == 'https' else 80}"
    return parts.netloc.removesuffix(default)
