"""Identity by JSON Web Token (RFC 7519), as RFC 8725 says to take one.

A token is believed when it is signed by a key of the issuer, by an algorithm that is listed,
says who issued it and for whom, and is in date. Whatever is wrong with one, it is nobody's.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from cachetools import LRUCache
from joserfc import jws, jwt
from joserfc.errors import JoseError

from gateway.adapters.jwt_identity.claims import OF_BEARERS, Reading, Unusable
from gateway.adapters.jwt_identity.jwks import KeySource
from gateway.core.ports import Keys
from gateway.core.principal import Principal

ASYMMETRIC = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"}
)
"""Algorithms that may be listed. With a symmetric one, whoever verifies could sign."""
TYPES = frozenset({"", "jwt", "at+jwt", "application/at+jwt", "application/jwt"})
"""What a token may say that it is (RFC 8725 §3.11, RFC 9068 §2.1): no logout, no event."""
LONGEST = 16 << 10
"""Characters of a token."""
REMEMBERED = 60.0
"""The longest, in seconds, that a token is not verified again."""
MOST_REMEMBERED = 10_000
KEY = "gg_"
"""How API keys begin."""


class _Seen(NamedTuple):
    """Whose a token was, under keys of this version, until a time in seconds since 1970."""

    principal: Principal
    version: int
    until: float


class JwtIdentity:
    """Implements `Keys` for the tokens of one issuer, meant for one audience."""

    def __init__(
        self,
        keys: KeySource,
        reading: Reading,
        *,
        issuer: str,
        audience: str,
        algorithms: Collection[str],
        leeway: int = 30,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`leeway` is how many seconds clocks may differ. Raises `ValueError` for no algorithm,
        or one that is not asymmetric, and for an empty issuer or audience."""
        if not algorithms or not ASYMMETRIC.issuperset(algorithms):
            raise ValueError(f"algorithms are among {', '.join(sorted(ASYMMETRIC))}")
        if not issuer or not audience:
            raise ValueError("tokens need an issuer and an audience")
        self._keys = keys
        self._reading = reading
        self._algorithms = frozenset(algorithms)
        self._leeway = leeway
        self._now = now
        self._registry = jws.JWSRegistry(algorithms=sorted(algorithms), strict_check_header=False)
        self._claims = jwt.JWTClaimsRegistry(
            now=lambda: int(now()),
            leeway=leeway,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
        )
        self._seen: LRUCache[bytes, _Seen] = LRUCache(MOST_REMEMBERED)

    async def principal(self, credential: str) -> Principal | None:
        """Whose token this is; None for any that is not good. Raises `Unavailable`."""
        if len(credential) > LONGEST or not credential.isascii():
            return None
        digest = hashlib.sha256(credential.encode()).digest()
        seen = self._seen.get(digest)
        if seen and seen.version == self._keys.version and self._now() < seen.until:
            return seen.principal
        try:
            return await self._verified(credential, digest)
        except (JoseError, Unusable, ValueError, RecursionError):  # the head is a stranger's JSON
            return None

    async def _verified(self, credential: str, digest: bytes) -> Principal | None:
        # 1. What it says it is. Nothing in the head chooses a key but by its name: `jku`, `jwk`
        #    and `x5u` are not read (RFC 8725 §3.10).
        head = jws.extract_compact(credential.encode()).headers()
        kid, alg = head.get("kid"), head.get("alg")
        if not isinstance(alg, str) or not isinstance(kid, str | None):
            return None
        if alg not in self._algorithms or "crit" in head or not _is_type(head.get("typ", "")):
            return None
        # 2. The issuer's key of that name, for that algorithm (§3.1, §3.5).
        public = await self._keys.find(kid, alg)
        if public is None:
            return None
        # 3. The signature, then the claims: issuer, audience, dates (§3.8, §3.9).
        token = jwt.decode(credential, public.key, algorithms=[alg], registry=self._registry)
        self._claims.validate(token.claims)
        # 4. Whose it is.
        principal = self._reading.principal(token.claims)
        until = min(token.claims["exp"] + self._leeway, self._now() + REMEMBERED)
        self._seen[digest] = _Seen(principal, self._keys.version, until)
        return principal

    async def stands(self, principal: Principal) -> bool:
        """A token is good for what was handed in while it was."""
        return principal.key_id.startswith(OF_BEARERS)

    async def stop(self) -> None:
        """End what is being fetched."""
        await self._keys.stop()


class KeyOrToken:
    """Implements `Keys`: what has two dots is a token, unless it begins as a key does."""

    def __init__(self, keys: Keys, tokens: Keys) -> None:
        self._keys = keys
        self._tokens = tokens

    async def principal(self, credential: str) -> Principal | None:
        is_token = credential.count(".") == 2 and not credential.startswith(KEY)
        return await (self._tokens if is_token else self._keys).principal(credential)

    async def stands(self, principal: Principal) -> bool:
        by_token = principal.key_id.startswith(OF_BEARERS)
        return await (self._tokens if by_token else self._keys).stands(principal)


def _is_type(typ: Any) -> bool:
    return isinstance(typ, str) and typ.lower() in TYPES
