"""An issuer of tokens, for tests: its keys, its clock, and what it signs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from joserfc import jwk, jwt

from gateway.adapters.jwt_identity import JwtIdentity
from gateway.adapters.jwt_identity.claims import Reading
from gateway.adapters.jwt_identity.jwks import KeySource

ISSUER = "https://id.example.org"
AUDIENCE = "govgate"
NOW = 1_800_000_000
KINDS: dict[str, tuple[Any, Any]] = {
    "RS256": ("RSA", 2_048),
    "PS256": ("RSA", 2_048),
    "ES256": ("EC", "P-256"),
    "Ed25519": ("OKP", "Ed25519"),
}
MADE: dict[tuple[str, str], Any] = {}
"""RSA keys take a while to make, so each is made once."""


def key(kid: str, alg: str = "ES256") -> Any:
    if (kid, alg) not in MADE:
        kind, size = KINDS[alg]
        MADE[kid, alg] = jwk.generate_key(kind, size, {"kid": kid, "use": "sig"})
    return MADE[kid, alg]


def claims(**more: Any) -> dict[str, Any]:
    """Good claims, with `more`; a claim that is None is left out."""
    told = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": NOW + 300,
        "iat": NOW,
        "sub": "ann",
        "client_id": "shop-bot",
        "scope": "chat.* models.list",
        **more,
    }
    return {name: value for name, value in told.items() if value is not None}


def signed(
    told: Mapping[str, Any] | None = None,
    *,
    by: Any = None,
    alg: str = "ES256",
    **head: Any,
) -> str:
    """A token of these claims. `head` adds to its head; a member that is None is left out."""
    by = by or key("k1", alg)
    members = {"alg": alg, "kid": by.kid, **head}
    given = {name: value for name, value in members.items() if value is not None}
    return jwt.encode(given, dict(told or claims()), by, algorithms=[alg])


class Issuer:
    """Publishes keys, and counts how often it is asked; can be away."""

    def __init__(self, *keys: Any) -> None:
        self.keys = list(keys or [key("k1")])
        self.asked = 0
        self.away: Exception | None = None
        self.clock = 1_000.0
        self.now = float(NOW)
        self.source = KeySource(self.read, clock=lambda: self.clock)

    async def read(self) -> bytes:
        self.asked += 1
        if self.away is not None:
            raise self.away
        return orjson.dumps({"keys": [each.as_dict(private=False) for each in self.keys]})

    def identity(self, reading: Reading | None = None, **more: Any) -> JwtIdentity:
        given = {"issuer": ISSUER, "audience": AUDIENCE, "algorithms": list(KINDS), **more}
        return JwtIdentity(self.source, reading or Reading(), now=lambda: self.now, **given)
