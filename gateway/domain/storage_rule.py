"""A storage rule: where a service's input comes from, or where its output goes."""

from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from gateway.domain.names import bucket_name
from gateway.domain.part import Line, Lines, Part, Texts

PROVIDER_KINDS = ("minio", "s3", "onedata", "webdav", "rucio")
BUCKET_KINDS = ("minio", "s3")
"""Those whose path begins with a bucket."""
PATH_LIMIT = 1000
"""A key of S3 has at most 1,024 bytes; a name has to follow."""


def _provider(text: str) -> str:
    kind, dot, name = text.partition(".")
    if kind not in PROVIDER_KINDS or bool(dot) != bool(name):
        raise ValueError(f"must be one of {', '.join(PROVIDER_KINDS)}, or one of them with '.<id>'")
    return text


class StorageRule(Part):
    """One `input` or `output` entry. `prefix` and `suffix` choose by the name below the folder; none: all."""

    storage_provider: Annotated[Line, AfterValidator(_provider)] = "minio.default"
    path: Line
    suffix: Lines = ()
    prefix: Lines = ()

    @field_validator("path")
    @classmethod
    def _check_path(cls, text: str, info: ValidationInfo) -> str:
        if len(text.encode()) > PATH_LIMIT:
            raise ValueError(f"has more than {PATH_LIMIT} bytes")
        if not _has_buckets(info.data.get("storage_provider", "minio")):
            return _without_dots(text)
        return _bucket_path(text)

    @property
    def embedded(self) -> bool:
        """Whether it means the gateway's own store."""
        return self.storage_provider in ("minio", "minio.default")

    @property
    def bucket(self) -> str:
        return self.path.partition("/")[0]

    @property
    def folder(self) -> str:
        """The path after the bucket, "" for the whole bucket."""
        return self.path.partition("/")[2]

    def in_bucket_of(self, service: str) -> "StorageRule":
        """A path without a bucket means that folder in a bucket named like the service. Raises ValueError."""
        if "/" in self.path or not _has_buckets(self.storage_provider):
            return self
        return self.model_copy(update={"path": f"{bucket_name(service)}/{self.path}"})


class Mount(StorageRule):
    """A bucket as a file system in the pod. Kept, not acted on."""

    options: Texts = Field(default_factory=dict)


def _has_buckets(provider: str) -> bool:
    return provider.partition(".")[0] in BUCKET_KINDS


def _bucket_path(text: str) -> str:
    """Without blanks and slashes around it, but for one after a lone bucket, which tells it from a folder."""
    path = text.strip(" /")
    if not path or "" in path.split("/"):
        raise ValueError("must be bucket/folder, without empty names")
    if "/" in text:
        bucket_name(path.partition("/")[0])
    return _without_dots(f"{path}/" if "/" in text and "/" not in path else path)


def _without_dots(path: str) -> str:
    if {".", ".."} & set(path.split("/")):
        raise ValueError("must not hold '.' or '..' as a name")
    return path
