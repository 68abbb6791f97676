"""Placement: what a definition asks of a cluster beside running its script. Kept, not acted on."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictInt, model_validator

from gateway.domain.part import Count, Line, Lower, NoneIfZero, Part, Text, Texts, WithoutNulls, WithoutZeros
from gateway.domain.quantity import Cores, Memory, Quantity


def _ports(value: object) -> object:
    """OSCAR 4.0 and before knew one port, later ones a list; 0 means none."""
    ports = value if isinstance(value, list | tuple) else [value]
    return [port for port in map(_port, ports) if port not in (0, None)]


def _port(value: object) -> object:
    return int(value) if isinstance(value, str) and re.fullmatch(r" *[0-9]{1,5} *", value) else value


def _absolute(path: str) -> str:
    if not path.startswith("/") or ".." in path.split("/"):
        raise ValueError("must be an absolute path without '..'")
    return path


Port = Annotated[StrictInt, Field(ge=1, le=65535)]
Ports = Annotated[tuple[Port, ...], Field(max_length=64), BeforeValidator(_ports)]


class Synchronous(Part):
    """How many replicas answer calls; 0 at most: unlimited."""

    min_scale: Count = 0
    max_scale: Count = 0


class Expose(Part):
    """A service that is a server of its own. `max_scale` 0 is how clients see that it is not exposed."""

    min_scale: Count = 0
    max_scale: Count = 0
    api_port: Ports = ()
    cpu_threshold: Count = 0
    rewrite_target: StrictBool = False
    nodeport: Ports = ()
    default_command: StrictBool = False
    set_auth: StrictBool = False
    auth_type: Annotated[Literal["basic", "forward"], Lower] = "basic"
    health_path: Annotated[Line, AfterValidator(_absolute)] = "/"
    probe_mode: Annotated[Literal["legacy", "direct"], Lower] = "legacy"


class Volume(Part):
    """A managed volume: with `size` made for the service, without it an existing one of that `name`."""

    name: Line = ""
    size: Quantity = ""
    mount_path: Annotated[Line, AfterValidator(_absolute)]
    lifecycle_policy: Annotated[Literal["", "delete", "retain"], Lower] = ""

    @model_validator(mode="after")
    def _check_named(self) -> "Volume":
        if not self.name and not self.size:
            raise ValueError("needs a name or a size")
        return self


class Member(Part):
    """A federated service: in another cluster (`oscar`), or any URL (`endpoint`)."""

    type: Annotated[Literal["oscar", "endpoint"], Lower] = "oscar"
    cluster_id: Line = ""
    service_name: Line = ""
    url: Line = ""
    ssl_verify: StrictBool = True
    priority: Count = 0
    headers: Texts = Field(default_factory=dict)


class Federation(Part):
    group_id: Line = ""
    topology: Annotated[Literal["none", "star", "mesh"], Lower] = "none"
    delegation: Annotated[Literal["static", "random", "load-based", "topsis"], Lower] = "static"
    rescheduler_threshold: Count = 0
    members: Annotated[tuple[Member, ...], WithoutZeros] = ()


class KserveInference(Part):
    model_format: Line
    runtime: Line = ""
    api_version: Annotated[Literal["v1", "v2"], Lower] = "v1"


class KserveLLMInference(Part):
    runtime_image: Line = ""


class Kserve(Part):
    """A model served by KServe."""

    type: Annotated[Literal["inference", "llm_inference"], Lower]
    inference: Annotated[KserveInference | None, NoneIfZero] = None
    llm_inference: Annotated[KserveLLMInference | None, NoneIfZero] = None
    storage_uri: Line
    min_scale: Count = 0
    max_scale: Count = 1
    cpu: Cores = "0.2"
    memory: Memory = "256Mi"
    args: Annotated[tuple[Text, ...], WithoutNulls] = ()
    env: Texts = Field(default_factory=dict)
    enable_gpu: StrictBool = False
    set_auth: StrictBool = True

    @model_validator(mode="after")
    def _check_kind(self) -> "Kserve":
        if self.type == "inference" and self.inference is None:
            raise ValueError("needs inference.model_format")
        return self
