"""Which exchanges a release is tried on."""

from __future__ import annotations

import hashlib

from gateway.core.exchange import Exchange
from gateway.core.policies import Canary

_WHOLE = 10_000
"""Parts that the traffic is cut into: hundredths of a percent."""


def is_tried_on(canary: Canary, release: str, exchange: Exchange) -> bool:
    """Whether the exchange falls on the side of the release that is tried.

    By its team or its key where those are named; else by chance that does not change for one
    application and user, and is drawn anew for each release.
    """
    who = exchange.principal
    if who.team in canary.teams or who.key_id in canary.keys:
        return True
    return canary.percent > 0 and _part(release, exchange) < canary.percent * (_WHOLE // 100)


def _part(release: str, exchange: Exchange) -> int:
    """A number from 0 to 9,999: of the application, and whoever uses it as far as that is known."""
    who, attributes = exchange.principal, exchange.call.attributes
    user = who.user or attributes.get("x-govgate-user")
    person = user or attributes.get("x-govgate-session-id") or who.key_id
    drawn = hashlib.sha256("\0".join([release, who.org, who.app, person]).encode()).digest()
    return int.from_bytes(drawn[:8]) % _WHOLE
