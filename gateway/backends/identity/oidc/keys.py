"""An issuer's public keys, by what they may have signed: asymmetric algorithms only, each with its own kind
of key, so that no public key is ever taken for a secret."""

from collections.abc import Iterator, Mapping
from typing import Any

from jwt import PyJWK
from jwt.exceptions import PyJWTError

_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
ALGORITHMS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("RSA", ""): _RSA,
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
"""By type and curve of the key."""

KEYS_LIMIT = 64
LEAST_RSA_BITS = 2048


class Keys:
    """`published` is the list `keys` of a JWK set (RFC 7517); what in it is of no use here is left out."""

    def __init__(self, published: object = ()) -> None:
        self._keys: list[tuple[str, PyJWK]] = []
        for one in published[:KEYS_LIMIT] if isinstance(published, list) else ():
            if isinstance(one, dict):
                self._keys += [(str(one.get("kid", "")), key) for key in _readings(one)]

    def fitting(self, *, kid: str | None, algorithm: str) -> list[PyJWK]:
        """Those that may have signed a token with this header; several only where it names no key."""
        return [key for name, key in self._keys if kid in (None, name) and key.algorithm_name == algorithm]


def _readings(published: Mapping[str, Any]) -> Iterator[PyJWK]:
    """The key, once an algorithm it is good for."""
    kind, curve = str(published.get("kty")), str(published.get("crv", ""))
    if "d" in published or published.get("use", "sig") != "sig":
        return
    for algorithm in ALGORITHMS.get((kind, curve), ()):
        if published.get("alg", algorithm) != algorithm:
            continue
        try:
            key = PyJWK(dict(published), algorithm=algorithm)
        except (PyJWTError, ValueError, TypeError):
            return
        if kind == "RSA" and key.key.key_size < LEAST_RSA_BITS:
            return
        yield key
