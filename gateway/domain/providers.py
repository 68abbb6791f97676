"""Storage providers and clusters that a definition brings along. Kept for clients, not acted on.

Never kept: the passwords of clusters, and what is said of `minio.default`, which is the gateway's own store.
"""

from typing import Annotated

from pydantic import BeforeValidator, Field, StrictBool

from gateway.domain.part import Line, Part, WithoutNulls

HIDDEN = "hidden"
"""What OSCAR shows for the keys of its own store."""


class MinioProvider(Part):
    endpoint: Line = ""
    verify: StrictBool = False
    access_key: Line = ""
    secret_key: Line = ""
    region: Line = ""


class S3Provider(Part):
    access_key: Line = ""
    secret_key: Line = ""
    region: Line = ""


class OnedataProvider(Part):
    oneprovider_host: Line = ""
    token: Line = ""
    space: Line = ""


class WebdavProvider(Part):
    hostname: Line = ""
    login: Line = ""
    password: Line = ""


class RucioProvider(Part):
    host: Line = ""
    account: Line = ""
    rse: Line = ""
    refresh_token: Line = ""
    auth_host: Line = ""
    oidc_audience: Line = ""
    token_endpoint: Line = ""


def _without_default(value: object) -> object:
    return {key: one for key, one in value.items() if key != "default"} if isinstance(value, dict) else value


class StorageProviders(Part):
    """By kind and id, as `storage_provider: <kind>.<id>` names them."""

    s3: Annotated[dict[Line, S3Provider], WithoutNulls] = Field(default_factory=dict)
    minio: Annotated[dict[Line, MinioProvider], WithoutNulls, BeforeValidator(_without_default)] = Field(
        default_factory=dict
    )
    onedata: Annotated[dict[Line, OnedataProvider], WithoutNulls] = Field(default_factory=dict)
    webdav: Annotated[dict[Line, WebdavProvider], WithoutNulls] = Field(default_factory=dict)
    rucio: Annotated[dict[Line, RucioProvider], WithoutNulls] = Field(default_factory=dict)


class Cluster(Part):
    """Another OSCAR cluster. Its `auth_password` is read by nothing here, so that it is never stored."""

    endpoint: Line = ""
    auth_user: Line = ""
    ssl_verify: StrictBool = False
