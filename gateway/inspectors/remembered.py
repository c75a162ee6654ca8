"""What was found in a text that was looked at before: conversations repeat what was said."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace

from cachetools import LRUCache

from gateway.core.findings import Finding
from gateway.core.passages import Passage
from gateway.core.ports import Inspector

TEXTS = 16_384
"""Texts whose findings are kept: about 4 MB where little is found."""
_MOST_FINDINGS = 64
"""A text in which more is found is looked at each time."""


class Remembered:
    """An inspector that looks at each text once, for as long as it remembers it.

    Every turn of a conversation brings all its former turns along, and most calls of an
    application begin with the same instructions. Kept are digests under a key that lives as
    long as this process, and findings, which say where and never what.
    """

    def __init__(self, inspector: Inspector, most: int = TEXTS) -> None:
        self.name = inspector.name
        self._inspector = inspector
        self._known: LRUCache[bytes, Sequence[Finding]] = LRUCache(most)
        self._keyed = hashlib.sha256(os.urandom(64))

    async def inspect(self, passages: Sequence[Passage]) -> list[Finding]:
        """What the inspector finds, passage by passage. Raises what it raises."""
        digests = [self._digest(passage) for passage in passages]
        found = [self._known.get(digest) for digest in digests]
        unknown = [place for place, known in enumerate(found) if known is None]
        if unknown:
            fresh: dict[int, list[Finding]] = {place: [] for place in unknown}
            asked = [replace(passages[place], where=str(place)) for place in unknown]
            for finding in await self._inspector.inspect(asked):
                fresh[int(finding.where)].append(finding)
            for place, findings in fresh.items():
                found[place] = findings
                if len(findings) <= _MOST_FINDINGS:
                    self._known[digests[place]] = findings
        return [
            replace(finding, where=passage.where)
            for passage, findings in zip(passages, found, strict=True)
            for finding in findings or ()
        ]

    def _digest(self, passage: Passage) -> bytes:
        """Of all that an inspector is shown, but for the place."""
        digest = self._keyed.copy()
        shown = (passage.role, passage.direction, passage.before, passage.text)
        for text in shown:
            written = text.encode(errors="surrogatepass")
            digest.update(len(written).to_bytes(8))
            digest.update(written)
        return digest.digest()
