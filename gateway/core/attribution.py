"""Whose record an exchange is: attribution, never authority.

It says which key the record rests under, so that all of one person's can be erased at once.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from gateway.core.exchange import Exchange
from gateway.core.principal import Principal

_USER, _SESSION = "x-govgate-user", "x-govgate-session-id"
_MEMBERS = ("user", "safety_identifier")
"""Where OpenAI's requests name the person; the first that does counts."""
_PLAIN = re.compile(r"(?!.*_session_)[^\s{}\[\]\"]{1,256}")
"""An id of one person. Claude Code sends JSON, or a device, an account and a session in one:
another with each session."""


class Attribution(NamedTuple):
    """A subject, such as `user:ann` or `app:shop-bot`, and the session that the caller names."""

    subject: str
    session: str | None = None


def subject_of(principal: Principal) -> str:
    """The subject of what a principal does by itself."""
    return f"user:{principal.user}" if principal.user else f"app:{principal.app}"


def attribution_of(exchange: Exchange) -> Attribution:
    """Whose an exchange is: of the verified user, else of whom the header or the body names,
    else of the app."""
    principal, attributes = exchange.principal, exchange.call.attributes
    user = principal.user or attributes.get(_USER, "").strip() or _named(exchange)
    subject = f"user:{user}" if user else subject_of(principal)
    return Attribution(subject, attributes.get(_SESSION, "").strip() or None)


def _named(exchange: Exchange) -> str | None:
    """Whom the body names, if it names one person."""
    if not exchange.knows("request"):
        return None
    request = exchange.request
    for member in _MEMBERS:
        user = request.get(member)
        if isinstance(user, str) and user.strip():
            return user.strip()
    about: Any = request.get("metadata")
    if not exchange.dialect.action.startswith("messages.") or not isinstance(about, dict):
        return None
    user = about.get("user_id")
    return user if isinstance(user, str) and _PLAIN.fullmatch(user) else None
