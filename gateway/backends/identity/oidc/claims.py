"""What is read from claims: who the user is and which groups they are in, in the shapes that OSCAR knows."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.backends.identity.protocol import ADMINISTRATOR, TOKEN
from gateway.domain.problems import Unauthenticated

URN = re.compile(r"urn:mace:egi\.eu:group:([^:#]+)[:#]")
"""An entitlement of EGI's: the group is what comes first (AARC-G002)."""

NAME = re.compile(r"[!-~]{1,255}")
"""A `sub` by OpenID Connect Core 1.0, section 2, but for blanks: it stands in log lines."""

OURS = frozenset({ADMINISTRATOR, TOKEN, "oscar", "nil"})
"""What in records stands for the administrator and for the bearer of a service's token, here and in OSCAR's
words: no user is called so."""


def user_name(claims: Mapping[str, Any]) -> str:
    """OSCAR's uid: the subject. Raises Unauthenticated for one that cannot be had."""
    name = claims.get("sub")
    if not isinstance(name, str) or not NAME.fullmatch(name) or name in OURS:
        raise Unauthenticated("the token's subject cannot be a user's name")
    return name


def groups_in(claims: Mapping[str, Any]) -> frozenset[str]:
    """EGI's entitlements, Keycloak's realm roles and `group_membership`."""
    realm = claims.get("realm_access")
    roles = realm.get("roles") if isinstance(realm, dict) else None
    urns = [*_texts(claims.get("entitlements")), *_texts(claims.get("eduperson_entitlement"))]
    entitled = [found[1] for urn in urns if (found := URN.match(urn))]
    return frozenset([*entitled, *_texts(roles), *_texts(claims.get("group_membership"))])


def _texts(value: object) -> Iterator[str]:
    """Of a list, or of one that stands for a list of one."""
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str):
            yield one
