"""Who calls, asked where credentials of that kind are known: tokens are users', else the administrator's."""

from gateway.backends.identity.protocol import Caller, Identity


class ByScheme:
    """The administrator is known without whoever knows the users."""

    def __init__(self, *, bearer: Identity, other: Identity) -> None:
        self._bearer = bearer
        self._other = other

    async def caller(self, authorization: str) -> Caller:
        scheme = authorization.strip().partition(" ")[0]
        identity = self._bearer if scheme.lower() == "bearer" else self._other
        return await identity.caller(authorization)
