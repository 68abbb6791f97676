"""A service: what a user deployed. STUB of the interface; the owner of this file completes it behind these names."""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


@dataclass(frozen=True, slots=True)
class Policy:
    """How this gateway runs a service's jobs and calls, from the annotations `oscar-gateway/...` (clients pass those on
    unchanged): `tries`, `retry-seconds`, `interruptions`, `job-seconds`, `call-seconds`. None: the gateway's setting."""

    tries: int = 1
    retry_s: float = 10.0
    interruptions: int = 5
    job_limit_s: float | None = None
    call_limit_s: float | None = None


class StorageRule(BaseModel):
    """One `input` or `output` entry. `bucket` and `folder` are the path's first element and its rest ("" for none)."""

    model_config = ConfigDict(frozen=True)
    storage_provider: str = "minio.default"
    path: str = ""
    suffix: tuple[str, ...] = ()
    prefix: tuple[str, ...] = ()

    @property
    def bucket(self) -> str:
        return self.path.strip("/").partition("/")[0]

    @property
    def folder(self) -> str:
        return self.path.strip("/").partition("/")[2]

    @property
    def embedded(self) -> bool:
        """Whether it means the gateway's own store (`minio`, `minio.default`)."""
        return self.storage_provider in ("minio", "minio.default")


class Environment(BaseModel):
    model_config = ConfigDict(frozen=True)
    variables: dict[str, str] = Field(default_factory=dict)
    secrets: dict[str, str] = Field(default_factory=dict)


class Service(BaseModel):
    """Complete (defaults applied). Names are OSCAR's."""

    model_config = ConfigDict(frozen=True)
    name: str
    image: str
    script: str
    cpu: str = "0.2"
    memory: str = "256Mi"
    enable_gpu: bool = False
    file_stage_in: bool = False
    input: tuple[StorageRule, ...] = ()
    output: tuple[StorageRule, ...] = ()
    environment: Environment = Field(default_factory=Environment)
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    token: str = ""
    owner: str = ""
    visibility: Literal["private", "restricted", "public"] = "private"
    allowed_users: tuple[str, ...] = ()
    mount: StorageRule | None = None

    @property
    def cpu_cores(self) -> float:
        return 0.2

    @property
    def memory_bytes(self) -> int:
        return 256 << 20

    @property
    def policy(self) -> Policy:
        return Policy()
