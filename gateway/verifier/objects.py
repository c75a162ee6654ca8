"""Payloads in object storage: hashed again where they can be read, counted where they cannot."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from gateway.verifier.report import Report
from gateway.verifier.rows import StoredPart

Read: TypeAlias = Callable[[str], bytes | None]
"""The object of this hash, in hexadecimal; None when there is none. Raises when it cannot tell."""
DESTROYED = "key.destroyed"


class _Lost(NamedTuple):
    place: int
    entry_id: str
    exchange_id: str
    part: str
    key_id: str


class ObjectCheck:
    """Holds objects against the headers that name them. Without `read`, it counts them."""

    def __init__(self, report: Report, read: Read | None = None) -> None:
        self._report = report
        self._read = read
        self._lost: list[_Lost] = []
        self._erased: set[str] = set()

    def check(
        self, index: int, header: Mapping[str, Any], part: StoredPart, said: Mapping[str, Any]
    ) -> None:
        """Check the object of a payload, if it has one; `said` is what the header says of it."""
        digest = said.get("object_sha256")
        if digest is None:
            return
        content = part.object_content
        if content is None and self._read is None:
            self._report.unchecked += 1
            return
        if content is None and self._read is not None:
            content = self._read(str(digest))
        if content is None:
            place = part.entry_id, str(header["exchange_id"]), part.part, str(said["key_id"])
            self._lost.append(_Lost(index, *place))
            return
        self._report.objects += 1
        if hashlib.sha256(content).hexdigest() != digest:
            self._report.add(
                index, f"the object of its payload {part.part} is another", part.entry_id
            )

    def note(self, facts: Mapping[str, Any]) -> None:
        """Note which keys, and exchanges, an entry of the log says were destroyed."""
        for name in ("keys", "exchanges"):
            self._erased.update(str(each) for each in facts.get(name) or ())

    def finish(self) -> None:
        """Objects are gone only where the log says that nobody could read them any more."""
        for lost in self._lost:
            if lost.key_id in self._erased or lost.exchange_id in self._erased:
                self._report.erased += 1
            else:
                what = f"the object of its payload {lost.part} is gone"
                self._report.add(lost.place, what, lost.entry_id)
