"""Identity: who calls."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

ADMINISTRATOR = "cluster_admin"
TOKEN = "token"  # noqa: S105 - a name
"""In whose name the bearer of a service's own token calls."""


@dataclass(frozen=True, slots=True)
class Caller:
    """`name` is what OSCAR writes as owner: `cluster_admin` for the administrator, else the user's uid."""

    name: str
    admin: bool

    def may_see(self, *, owner: str, visibility: str, allowed_users: Collection[str]) -> bool:
        """Of a service or a bucket: `visibility` is OSCAR's private, restricted or public."""
        return (
            self.admin
            or owner == self.name
            or visibility == "public"
            or (visibility == "restricted" and self.name in allowed_users)
        )


class Identity(Protocol):
    async def caller(self, authorization: str) -> Caller:
        """Who the Authorization header speaks for, in time that does not tell how much of it was right.

        Raises Unauthenticated, Unavailable.
        """
        ...
