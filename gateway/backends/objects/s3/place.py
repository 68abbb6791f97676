"""A place: where a foreign store is, and what in it is ours."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.backends.objects.names import require_bucket_name
from gateway.backends.objects.protocol import OWN_BUCKET, Provider
from gateway.domain.problems import Invalid
from gateway.settings import Settings, SettingsError


@dataclass(frozen=True, slots=True)
class Place:
    """`inside` is how this process reaches the store, `provider` how clients do. `own_bucket` is what the
    gateway's own is called there. `events_arn` names the target of its notifications; empty if it has none.
    """

    inside: Provider
    provider: Provider
    own_bucket: str = OWN_BUCKET
    events_arn: str = ""


def place_of(settings: Settings) -> Place:
    """Raises SettingsError, naming what is missing or cannot be."""
    for name in ("s3_access_key", "s3_secret_key"):
        if not getattr(settings, name):
            raise SettingsError(f"{name.upper()}: is needed for the store of OBJECTS_URL")
    try:
        require_bucket_name(settings.s3_own_bucket)
    except Invalid as problem:
        raise SettingsError(f"S3_OWN_BUCKET: {problem.detail}") from None
    inside = _checked("OBJECTS_URL", settings.objects_url)
    public = _checked("S3_PUBLIC_URL", settings.s3_public_url) if settings.s3_public_url else inside
    return Place(
        _provider(settings, inside),
        _provider(settings, public),
        own_bucket=settings.s3_own_bucket,
        events_arn=settings.s3_events_arn,
    )


def _provider(settings: Settings, endpoint: str) -> Provider:
    return Provider(
        endpoint=endpoint,
        verify=endpoint.startswith("https:"),
        region=settings.s3_region,
        access_key=settings.s3_access_key,
        secret_key=settings.s3_secret_key,
    )


def _checked(name: str, url: str) -> str:
    """Scheme, host and port alone: signatures would not hold for more."""
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        whole = False
    if not whole or parts.path.strip("/") or parts.query or parts.username is not None:
        raise SettingsError(f"{name}: http(s)://host:port is needed, without keys or a path")
    return f"{parts.scheme}://{parts.netloc}"
