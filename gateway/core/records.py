"""What the ledger holds of an exchange, and the bytes that are hashed.

`opened`, before anything leaves or is refused; an `attempt` before each call of a provider;
a `segment` for what is released of a stream; exactly one terminal entry, `closed`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson

from gateway.core.merkle import leaf_hash as leaf_hash
from gateway.core.values import Value


class Kind(StrEnum):
    """What an entry is. The first four belong to an exchange; the others are acts of people
    and of the gateway itself."""

    OPENED = "opened"
    ATTEMPT = "attempt"
    SEGMENT = "segment"
    CLOSED = "closed"
    AUDIT_READ = "audit.read"
    AUDIT_EXPORT = "audit.export"
    KEY_DESTROYED = "key.destroyed"
    ERASURE_REFUSED = "erasure.refused"
    HOLD_PLACED = "hold.placed"
    HOLD_LIFT_ASKED = "hold.lift_asked"
    HOLD_LIFTED = "hold.lifted"
    RETENTION_PRUNED = "retention.pruned"
    LOG_RESTORED = "log.restored"
    POLICY_DRAFT_SAVED = "policy.draft_saved"
    POLICY_VALIDATED = "policy.validated"
    POLICY_TESTS_RUN = "policy.tests_run"
    POLICY_REPLAY_RUN = "policy.replay_run"
    POLICY_SUBMITTED = "policy.submitted"
    POLICY_APPROVED = "policy.approved"
    POLICY_REJECTED = "policy.rejected"
    POLICY_SHADOW_STARTED = "policy.shadow_started"
    POLICY_SHADOW_ENDED = "policy.shadow_ended"
    POLICY_CANARY_SET = "policy.canary_set"
    POLICY_ACTIVATED = "policy.activated"
    POLICY_NODE_ACKNOWLEDGED = "policy.node_acknowledged"
    POLICY_ROLLED_BACK = "policy.rolled_back"
    POLICY_BREAK_GLASS = "policy.break_glass"
    POLICY_STOPPED = "policy.stopped"
    POLICY_RESUMED = "policy.resumed"
    POLICY_EXPORTED = "policy.exported"
    POLICY_OWNERSHIP_CHANGED = "policy.ownership_changed"
    POLICY_EXCEPTION_EXPIRED = "policy.exception_expired"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the ledger.

    `facts` go into the header: JSON of strings, whole numbers, booleans, null, lists and
    objects with ASCII keys, never a float, never anybody's text. `parts` are payloads,
    encrypted at rest: request_received, request_sent, question, decision, answer_received,
    errors_received, answer_released, tool_calls. `values` are those that were found in the
    exchange so far: each can be erased from the parts by itself, and from those of the entries
    that it is committed with.
    """

    kind: Kind
    facts: dict[str, Any]
    parts: Mapping[str, bytes] = field(default_factory=dict)
    values: Sequence[Value] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that an entry is durable: its id, and the RFC 6962 hash of its header."""

    entry_id: str
    leaf: bytes


def canonical(header: dict[str, Any]) -> bytes:
    """`header` as canonical JSON (RFC 8785). These bytes are stored, and hashed as stored.

    Equal to JCS for what a header may hold: ASCII keys, no floats. Raises `TypeError`
    on anything else.
    """
    _check(header)
    return orjson.dumps(header, option=orjson.OPT_SORT_KEYS)


def _check(header: dict[str, Any]) -> None:
    """Raise `TypeError` unless `header` has one canonical form. A loop, as it runs often."""
    containers: list[Any] = [header]
    while containers:
        container = containers.pop()
        if type(container) is dict:
            if not all(map(str.isascii, container)):
                raise TypeError("a key that is not ASCII")
            container = container.values()
        for item in container:
            kind = type(item)
            if kind is str or kind is bool or item is None:
                continue
            if kind is dict or kind is list or kind is tuple:
                containers.append(item)
            elif kind is int:
                if abs(item) >= 2**53:
                    raise TypeError(f"too large for a JSON number: {item}")
            elif not isinstance(item, str):  # a StrEnum is one
                raise TypeError(f"not for a header: {kind.__name__}")
