"""An evidence bundle: a zip file that proves entries of the log without a gateway.

Its members, in this order: `README.txt`; `selection.json`, which leaves it has; `entries.jsonl`,
a line for each of them; `pruned.jsonl`, the entries whose payloads were deleted in due time;
`checkpoints.jsonl`, every signed note with its witnesses' lines; `checkpoint`, the last of them.
Each line is JSON in one form only, so that no byte of it can be another; bytes are base64.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

README = "README.txt"
SELECTION = "selection.json"
ENTRIES = "entries.jsonl"
PRUNED = "pruned.jsonl"
CHECKPOINTS = "checkpoints.jsonl"
CHECKPOINT = "checkpoint"
MEMBERS = (README, SELECTION, ENTRIES, PRUNED, CHECKPOINTS, CHECKPOINT)


class BundleError(ValueError):
    """A bundle is not as bundles are written, or cannot be."""


def line_of(value: Any) -> bytes:
    """A JSON value in its one form, with a line end."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return text.encode() + b"\n"


def parsed(line: bytes, *names: str) -> dict[str, Any]:
    """The object with exactly these members that `line_of` wrote. Raises `BundleError`."""
    try:
        value = json.loads(line)
    except ValueError as error:
        raise BundleError("a line is not JSON") from error
    return exactly(value, *names) if line_of(value) == line else _altered()


def exactly(value: Any, *names: str) -> dict[str, Any]:
    """`value`, an object with exactly these members. Raises `BundleError`."""
    if not isinstance(value, dict) or value.keys() != set(names):
        raise BundleError("a line has other members than it should")
    return value


def coded(content: bytes) -> str:
    """Bytes as they stand in a line."""
    return base64.b64encode(content).decode()


def decoded(text: Any) -> bytes:
    """What `coded` wrote. Raises `BundleError`."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise BundleError("bytes are not base64") from error
    return content if coded(content) == text else _altered()


def _altered() -> Any:
    raise BundleError("a line is not in the form in which it was written")
