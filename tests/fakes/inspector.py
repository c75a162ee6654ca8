"""An inspector that finds what it was told to look for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from gateway.core.findings import Finding
from gateway.core.passages import Passage


class FakeInspector:
    """Implements `Inspector`: each value of `values` is found, labelled as they say."""

    def __init__(
        self, values: Mapping[str, str], kind: str = "pii", name: str = "fake", score: float = 1.0
    ) -> None:
        self.name = name
        self.seen: list[Passage] = []
        """Every passage that was shown, in order."""
        self.failing: Exception | None = None
        """Raised instead of an answer, for as long as it is set."""
        self._values = values
        self._kind = kind
        self._score = score

    async def inspect(self, passages: Sequence[Passage]) -> list[Finding]:
        self.seen.extend(passages)
        if self.failing is not None:
            raise self.failing
        return [finding for passage in passages for finding in self._found(passage)]

    def _found(self, passage: Passage) -> list[Finding]:
        known = len(passage.before)
        return [
            Finding(self._kind, label, passage.where, hit.start() - known, hit.end() - known,
                    self._score, passage.direction)
            for value, label in self._values.items()
            for hit in re.finditer(re.escape(value), passage.before + passage.text)
            if hit.end() > known
        ]  # fmt: skip
