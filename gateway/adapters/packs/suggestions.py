"""What may have been meant: the names most like one that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher

_LIKE_ENOUGH = 0.6
_EVERYDAY = {
    "active": "enforce", "enabled": "enforce", "on": "enforce", "true": "enforce",
    "audit": "observe", "dryrun": "observe", "monitor": "observe", "warn": "observe",
    "watch": "observe", "disabled": "off", "false": "off",
    "block": "deny", "refuse": "deny", "reject": "deny", "ask": "review", "hold": "review",
    "anonymise": "mask", "anonymize": "mask", "replace": "mask",
    "delete": "redact", "remove": "redact", "strip": "redact", "cut": "filter", "stop": "filter",
    "in": "input", "prompt": "input", "request": "input",
    "answer": "output", "out": "output", "response": "output",
    "urgent": "critical", "normal": "medium",
}  # fmt: skip
"""What other programs, and people, call what has a name here."""
_MOST = 3


def nearest(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """At most three of `known` that are like `name`, the likeliest first."""
    known = list(known)
    meant = _plain(name)
    if _EVERYDAY.get(meant) in known:
        return (_EVERYDAY[meant],)
    scored = [(SequenceMatcher(None, meant, _plain(other)).ratio(), other) for other in known]
    alike = [(-score, other) for score, other in scored if score >= _LIKE_ENOUGH]
    return tuple(other for _, other in sorted(alike)[:_MOST])


def _plain(name: str) -> str:
    """What stays of a name when case and the marks between its words are left out."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())
