"""Parts of what the policy is asked that several questions of one exchange have in common."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from gateway.core.findings import Finding
from gateway.core.ports import Model


def resource_of(model: Model) -> dict[str, Any]:
    """What the policy sees of a target."""
    return {
        "type": "model",
        "id": model.id,
        "properties": {
            "provider": model.upstream,
            "hosting": model.hosting,
            "region": model.region,
            "tags": list(model.tags),
        },
    }


def facts_found(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """What the policy sees of findings: what and how sure, never the text."""
    return [
        {
            "kind": finding.kind,
            "label": finding.label,
            "where": finding.where,
            "direction": str(finding.direction),
            "score": finding.score,
        }
        for finding in findings
    ]


def stamp(now: datetime) -> str:
    """A moment, in UTC, as the policy reads it: RFC 3339, to the second."""
    return now.isoformat(timespec="seconds").replace("+00:00", "Z")


def words_of(message: dict[str, str], otherwise: str) -> str:
    """A reason in English, else in any language there is."""
    return message.get("en") or next(iter(message.values()), otherwise)
