"""OCSF 1.9.0: API Activity (6003) with the profiles `ai_operation` and `record_integrity`.

Source: github.com/ocsf/ocsf-schema, tag 1.9.0. The attestation's fingerprint is over this event
as it stands here; the leaf hash, by which the log proves the record, is in `unmapped`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.core.records import canonical
from gateway.governance.formats.view import EXCHANGE, View, milliseconds

VERSION = "1.9.0"
_CLASS, _CATEGORY = 6003, 6
_OTHER, _READ = 99, 2
_ACTIVITIES: Mapping[str, int] = {"audit.read": _READ, "audit.export": _READ}
_SHA256 = 3
_SUCCESS, _FAILURE, _UNKNOWN = 1, 2, 0
_STATUS = {"completed": _SUCCESS, "denied": _FAILURE, "filtered": _FAILURE, "failed": _FAILURE,
           "cancelled": _FAILURE, "lost": _UNKNOWN}  # fmt: skip
_INFORMATIONAL, _MEDIUM, _CRITICAL = 1, 3, 5


def line(view: View) -> bytes:
    """The record as one event."""
    event = _event(view)
    attestation = {"uid": view.entry_id, "chain_uid": "govgate"}
    body = canonical({**event, "attestation": attestation})
    fingerprint = {
        "algorithm": "SHA-256",
        "algorithm_id": _SHA256,
        "value": hashlib.sha256(body).hexdigest(),
    }
    return canonical({**event, "attestation": {**attestation, "fingerprint": fingerprint}})


def _event(view: View) -> dict[str, Any]:
    activity = _ACTIVITIES.get(view.kind, _OTHER)
    operation = view.action or view.kind
    told: dict[str, Any] = {
        "category_uid": _CATEGORY,
        "class_uid": _CLASS,
        "activity_id": activity,
        "type_uid": _CLASS * 100 + activity,
        "time": view.time_ms,
        "severity_id": _severity(view),
        "status_id": _STATUS.get(view.outcome or "", _SUCCESS),
        "metadata": _metadata(view),
        "actor": {"user": {"uid": view.key_id or "unknown"}},
        "api": {"operation": operation, "service": {"name": "Govgate"}},
        "src_endpoint": {"name": view.app or "unknown"},
        "unmapped": _unmapped(view),
    }
    if activity == _OTHER:
        told["activity_name"] = operation
    if view.code:
        told["status_code"] = view.code
    if view.elapsed_us is not None:
        told["duration"] = view.elapsed_us // 1_000
    if view.ended_at is not None:
        told |= {"start_time": view.time_ms, "end_time": milliseconds(view.ended_at)}
    if view.kind == EXCHANGE:
        told["message_context"] = _context(view)
    if view.provider and view.served_model:
        told["ai_model"] = {
            "ai_provider": view.provider,
            "model_name": view.served_model,
            "name": view.served_model,
        }
    return told


def _metadata(view: View) -> dict[str, Any]:
    return {
        "version": VERSION,
        "profiles": ["ai_operation", "record_integrity"],
        "product": {"name": "Govgate", "vendor_name": "Govgate"},
        "uid": view.entry_id,
        "correlation_uid": view.exchange_id,
        "sequence": view.leaf_index,
        "log_name": "govgate",
        **({"tenant_uid": view.org} if view.org else {}),
    }


def _context(view: View) -> dict[str, Any]:
    told: dict[str, Any] = {"uid": view.exchange_id, "service": {"name": "Govgate"}}
    if view.input_tokens is not None and view.output_tokens is not None:
        told |= {
            "prompt_tokens": view.input_tokens,
            "completion_tokens": view.output_tokens,
            "total_tokens": view.input_tokens + view.output_tokens,
        }
    return told


def _unmapped(view: View) -> dict[str, Any]:
    """What OCSF has no place for, under our own names."""
    whole: dict[str, Any] = msgspec.to_builtins(view)
    mapped = {"ts", "ended_at", "elapsed_us", "code", "key_id", "entry_id", "action", "provider"}
    return {name: value for name, value in whole.items() if name not in mapped and value != []}


def _severity(view: View) -> int:
    if not view.intact:
        return _CRITICAL
    return _MEDIUM if view.outcome in {"denied", "filtered"} else _INFORMATIONAL
