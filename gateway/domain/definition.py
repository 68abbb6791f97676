"""The definition of a service: its fields, which are those of OSCAR's FDL in its order.

Which fields this gateway acts on stands in docs/service-model.md; the others are kept and returned.
"""

from functools import cached_property
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    StrictBool,
    StrictStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from gateway.domain.environment import Environment
from gateway.domain.names import image_name, label_key, label_value, service_name
from gateway.domain.part import (
    Line,
    Lines,
    Lower,
    NoneIfZero,
    Part,
    Text,
    Upper,
    WithoutNulls,
    WithoutZeros,
    without_nul,
)
from gateway.domain.placement import Expose, Federation, Kserve, Synchronous, Volume
from gateway.domain.policy import Policy, policy_of
from gateway.domain.providers import Cluster, StorageProviders
from gateway.domain.quantity import Cores, Memory, Quantity, cores, memory_bytes
from gateway.domain.storage_rule import Mount, StorageRule

LOG_LEVELS = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG", "NOTSET")


def _script(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    return without_nul(text.replace("\r\n", "\n").replace("\r", "\n"))


def _log_level(text: str) -> str:
    return text if text in LOG_LEVELS else "INFO"


def _users(users: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(user.strip() for user in users if user.strip()))


Labels = Annotated[
    dict[Annotated[StrictStr, AfterValidator(label_key)], Annotated[Text, AfterValidator(label_value)]],
    WithoutNulls,
]
Annotations = Annotated[dict[Annotated[StrictStr, AfterValidator(label_key)], Text], WithoutNulls]
Rules = Annotated[tuple[StorageRule, ...], WithoutZeros]


class Service(Part):
    """What a user deployed. `token` and `owner` are empty until it is completed.

    `model_dump(mode="json")` is what is stored, secrets and all; `model_validate` reads it back without loss.
    """

    name: Annotated[StrictStr, AfterValidator(service_name)]
    cluster_id: Line = ""
    memory: Memory = "256Mi"
    cpu: Cores = "0.2"
    ephemeral_storage_request: Quantity = ""
    total_memory: Quantity = ""
    total_cpu: Quantity = ""
    enable_gpu: StrictBool = False
    enable_sgx: StrictBool = False
    image_prefetch: StrictBool = False
    synchronous: Synchronous = Synchronous()
    federation: Annotated[Federation | None, NoneIfZero] = None
    log_level: Annotated[StrictStr, Upper, AfterValidator(_log_level)] = "INFO"
    image: Annotated[StrictStr, AfterValidator(image_name)]
    alpine: StrictBool = False
    token: Line = ""
    file_stage_in: StrictBool = False
    input: Rules = ()
    output: Rules = ()
    script: Annotated[StrictStr, AfterValidator(_script)]
    image_pull_secrets: Lines = ()
    expose: Expose = Expose()
    environment: Environment = Environment()
    annotations: Annotations = Field(default_factory=dict)
    vo: Line = ""
    labels: Labels = Field(default_factory=dict)
    storage_providers: StorageProviders = StorageProviders()
    clusters: Annotated[dict[Line, Cluster], WithoutNulls] = Field(default_factory=dict)
    owner: Line = ""
    interlink_node_name: Line = ""
    visibility: Annotated[Literal["private", "restricted", "public"], Lower] = "private"
    allowed_users: Annotated[Lines, AfterValidator(_users)] = ()
    isolation_level: Annotated[Literal["SERVICE", "USER"], Upper] = "SERVICE"
    mount: Annotated[Mount | None, NoneIfZero] = None
    volume: Annotated[Volume | None, NoneIfZero] = None
    kserve: Annotated[Kserve | None, NoneIfZero] = None

    @model_validator(mode="before")
    @classmethod
    def _read_spellings(cls, given: object) -> object:
        """The two other names clients have for `ephemeral_storage_request`."""
        if not isinstance(given, dict):
            return given
        spelled = {"ephemeral-storage", "ephemeral_storage", "ephemeral-storage-request"}
        return {
            ("ephemeral_storage_request" if key.lower() in spelled else key): value
            for key, value in given.items()
        }

    @field_validator("input", "output")
    @classmethod
    def _place_rules(cls, rules: tuple[StorageRule, ...], info: ValidationInfo) -> tuple[StorageRule, ...]:
        name = info.data.get("name")
        return tuple(rule.in_bucket_of(name) for rule in rules) if isinstance(name, str) else rules

    @model_validator(mode="after")
    def _check_policy(self) -> "Service":
        policy_of(self.annotations)
        return self

    @cached_property
    def policy(self) -> Policy:
        """Read once: every call asks for it. A copy with other annotations has to be validated anew."""
        return policy_of(self.annotations)

    @property
    def cpu_cores(self) -> float:
        return cores(self.cpu)

    @property
    def memory_bytes(self) -> int:
        return memory_bytes(self.memory)
