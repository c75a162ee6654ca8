"""ArcSight's Common Event Format, version 0: a header between bars, then `key=value`.

Source: "Implementing ArcSight Common Event Format". In the header a backslash and a bar are
escaped, and a line break, which cannot stand there, becomes a space. In a value a backslash, an
equals sign and a line break are escaped. A key without a value is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.governance.formats.view import EXCHANGE, View, milliseconds

_HEADER = str.maketrans({"\\": "\\\\", "|": "\\|", "\n": " ", "\r": " "})
_VALUE = str.maketrans({"\\": "\\\\", "=": "\\=", "\n": "\\n", "\r": "\\r"})
_SEVERITY: Mapping[str | None, int] = {"completed": 2, "cancelled": 3, "denied": 6, "filtered": 6}
_TAMPERED, _USUAL = 10, 4


def line(view: View) -> bytes:
    """The record as one line."""
    name = f"{view.kind} {view.outcome}" if view.outcome else view.kind
    severity = _SEVERITY.get(view.outcome, _USUAL) if view.intact else _TAMPERED
    head = ("CEF:0", "Govgate", "govgate", "1", view.kind, name, str(severity))
    told = " ".join(f"{key}={_said(value)}" for key, value in _keys(view))
    return ("|".join([head[0], *(part.translate(_HEADER) for part in head[1:]), told])).encode()


def _keys(view: View) -> Iterator[tuple[str, Any]]:
    labelled = {
        "cs1": ("model", view.model), "cs2": ("servedModel", view.served_model),
        "cs3": ("rules", ",".join(view.rules)), "cs4": ("decisionId", view.decision_id),
        "cs5": ("labels", ",".join(view.labels)), "cs6": ("findings", _findings(view)),
        "cn1": ("costMicroUsd", view.cost_micro_usd), "cn2": ("inputTokens", view.input_tokens),
        "cn3": ("outputTokens", view.output_tokens),
        "flexNumber1": ("leafIndex", view.leaf_index), "flexString1": ("leafHash", view.leaf_hash),
        "flexString2": ("team", view.team),
    }  # fmt: skip
    plain = {
        "rt": view.time_ms or None, "end": milliseconds(view.ended_at) or None,
        "externalId": view.entry_id, "cat": view.action if view.kind == EXCHANGE else view.kind,
        "act": view.effect, "outcome": view.outcome, "reason": view.code,
        "sourceServiceName": view.app, "suid": view.key_id, "sntdom": view.org,
        "destinationServiceName": view.provider, "deviceFacility": view.exchange_id,
        "msg": None if view.intact else "NOT INTACT: this is not what was written",
    }  # fmt: skip
    for key, value in plain.items():
        if value not in (None, ""):
            yield key, value
    for key, (label, value) in labelled.items():
        if value not in (None, ""):
            yield f"{key}Label", label
            yield key, value


def _findings(view: View) -> str:
    """The labels that were found, each once."""
    found = [*view.findings, *view.answer_findings]
    return ",".join(dict.fromkeys(str(one.get("label", "")) for one in found))


def _said(value: Any) -> str:
    return str(value).translate(_VALUE)
