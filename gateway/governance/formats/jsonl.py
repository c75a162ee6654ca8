"""One JSON object a line, with the members of `View`."""

from __future__ import annotations

import msgspec

from gateway.governance.formats.view import View

_ENCODER = msgspec.json.Encoder()


def line(view: View) -> bytes:
    """The record as JSON; no line break stands in it."""
    return _ENCODER.encode(view)
