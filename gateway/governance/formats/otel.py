"""OTLP/JSON log records, one export request a line; content is never in them.

Sources: the OTLP file exporter (JSON lines of `ExportLogsServiceRequest`), and for an exchange
the event `gen_ai.client.inference.operation.details` of the GenAI semantic conventions, which
are in development: the names are those of November 2026. What they have no name for is under
`govgate.`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.governance.formats.view import EXCHANGE, View, milliseconds

EVENT = "gen_ai.client.inference.operation.details"
_OPERATIONS: Mapping[str, str] = {
    "chat.completions.create": "chat",
    "messages.create": "chat",
    "responses.create": "chat",
    "completions.create": "text_completion",
    "embeddings.create": "embeddings",
}
_GEN_AI: Mapping[str, str] = {
    "provider": "gen_ai.provider.name",
    "model": "gen_ai.request.model",
    "served_model": "gen_ai.response.model",
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "code": "error.type",
}
_ELSEWHERE = frozenset({"ts", "ended_at", "stream", "facts"})
_DEBUG, _ERROR = 5, 17
_ENCODER = msgspec.json.Encoder()


def line(view: View) -> bytes:
    """The record as one export request with one log record."""
    moment = milliseconds(view.ended_at) or view.time_ms
    record = {
        "timeUnixNano": str(moment * 1_000_000),
        "severityNumber": _DEBUG if view.intact else _ERROR,
        "eventName": EVENT if view.kind == EXCHANGE else f"govgate.{view.kind}",
        "attributes": _attributes(view),
    }
    scope = {"scope": {"name": "govgate"}, "logRecords": [record]}
    resource = {"attributes": [_attribute("service.name", "govgate")]}
    return _ENCODER.encode({"resourceLogs": [{"resource": resource, "scopeLogs": [scope]}]})


def _attributes(view: View) -> list[dict[str, Any]]:
    told: dict[str, Any] = {}
    if view.action is not None:
        told["gen_ai.operation.name"] = _OPERATIONS.get(view.action, view.action)
    for name, value in msgspec.to_builtins(view).items():
        if name not in _ELSEWHERE and value not in (None, []):
            told[_GEN_AI.get(name, f"govgate.{name}")] = value
    if view.stream is not None:
        told["gen_ai.request.stream"] = view.stream
    if view.facts:
        told["govgate.facts"] = msgspec.json.encode(view.facts).decode()
    return [_attribute(name, value) for name, value in told.items()]


def _attribute(name: str, value: Any) -> dict[str, Any]:
    return {"key": name, "value": _value(value)}


def _value(value: Any) -> dict[str, Any]:
    """An `AnyValue`; whole numbers are text, as protobuf's JSON has 64 bits."""
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case list() | tuple() if all(isinstance(one, str) for one in value):
            return {"arrayValue": {"values": [_value(one) for one in value]}}
        case list() | tuple() | dict():
            return {"stringValue": msgspec.json.encode(value).decode()}
        case _:
            return {"stringValue": str(value)}
