"""A service as it is deployed: its definition, which creation it is, and since when."""

from dataclasses import dataclass, field
from datetime import datetime

from gateway.domain.service import Service


@dataclass(frozen=True, slots=True)
class Deployed:
    """A service as it is deployed. `uid` is new at every creation and kept by updates, so that a service
    deleted and created again is another one. `inputs_since` has, for each input path, when it was first
    declared: objects older than that do not trigger by themselves.
    """

    service: Service
    uid: str
    created_at: datetime
    updated_at: datetime
    inputs_since: dict[str, datetime] = field(default_factory=dict)
