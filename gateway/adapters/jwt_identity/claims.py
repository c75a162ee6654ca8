"""What a verified token says of its bearer, as a principal."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.core.principal import Limits, Principal
from gateway.core.roles import Role

LONGEST = 256
"""Characters of a name."""
MOST = 256
"""Scopes, or models, of one token."""
NO_TEAM = "default"

OF_BEARERS = "jwt_"
"""How the ids of principals that a token names begin."""


class Unusable(ValueError):
    """A claim is missing or of another shape than its name here asks for."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Which claim holds what, by name, or by a path with dots. None and "" read none.

    Where scopes or models are not read, a token may call everything; where they are read and
    it has none, it may call nothing. A team, a budget or an application that is read must be
    there. A budget is the id of one that exists here. Of roles, those that there are here count.
    """

    app: str = "client_id"
    team: str | None = None
    user: str | None = "sub"
    scopes: str | None = "scope"
    models: str | None = None
    budget: str | None = None
    roles: str | None = None
    limits: Limits = field(default_factory=Limits)

    def principal(self, claims: Mapping[str, Any]) -> Principal:
        """Whose token it is. Raises `Unusable`."""
        app = _name(claims, self.app)
        team = _name(claims, self.team) if self.team else NO_TEAM
        whose = "\n".join([str(claims.get("iss")), app, str(claims.get("sub"))])
        return Principal(
            org="default",
            team=team,
            app=app,
            key_id=f"{OF_BEARERS}{hashlib.sha256(whose.encode()).hexdigest()[:24]}",
            scopes=_words(claims, self.scopes) if self.scopes else ("*",),
            models=_words(claims, self.models) if self.models else ("*",),
            roles=_roles(claims, self.roles) if self.roles else (),
            limits=self.limits,
            budget_id=_name(claims, self.budget) if self.budget else None,
            user=_name(claims, self.user) if self.user and found(claims, self.user) else None,
        )


def found(claims: Mapping[str, Any], name: str) -> Any:
    """The claim called `name`, else the one at the end of `name` as a path; None for none."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


def _name(claims: Mapping[str, Any], name: str) -> str:
    value = found(claims, name)
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST or not value.isprintable():
        raise Unusable(f"the claim {name!r} is no name")
    return value


def _roles(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The words that are roles here; an issuer's others say nothing."""
    return tuple(word for word in _words(claims, name) if word in set(Role))


def _words(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A list of strings, or words in one string (RFC 8693 §4.2)."""
    value = found(claims, name)
    words = value.split() if isinstance(value, str) else [] if value is None else value
    if not isinstance(words, list) or len(words) > MOST:
        raise Unusable(f"the claim {name!r} is no list")
    if not all(isinstance(word, str) and len(word) <= LONGEST for word in words):
        raise Unusable(f"the claim {name!r} holds what is no word")
    return tuple(words)
