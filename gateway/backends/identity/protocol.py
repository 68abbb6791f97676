"""Identity: who calls."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Caller:
    """`name` is what OSCAR writes as owner: `cluster_admin` for the administrator, else the user's uid."""

    name: str
    admin: bool


class Identity(Protocol):
    async def caller(self, authorization: str) -> Caller:
        """Who the Authorization header speaks for, in time that does not tell how much of it was right.

        Raises Unauthenticated, Unavailable.
        """
        ...
