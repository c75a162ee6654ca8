"""A masker that works a character at a time: slow, and plainly right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from gateway.core.findings import Finding


class FakeMasker:
    """Implements `Masker`: findings that share a character are replaced as one."""

    def mask(self, text: str, findings: Sequence[Finding], name: Callable[[str, str], str]) -> str:
        group: list[int | None] = [None] * len(text)
        ordered = sorted(findings, key=lambda finding: finding.start)
        number, reached = -1, -1
        longest: dict[int, tuple[int, float, str]] = {}
        for finding in ordered:
            start, end = max(0, finding.start), min(len(text), finding.end)
            if start >= end:
                continue
            if start >= reached:
                number += 1
            reached = max(reached, end)
            group[start:end] = [number] * (end - start)
            size = (end - start, finding.score, finding.label)
            if number not in longest or size[:2] > longest[number][:2]:
                longest[number] = size
        pieces: list[str] = []
        for which, places in groupby(range(len(text)), key=group.__getitem__):
            value = "".join(text[place] for place in places)
            pieces.append(value if which is None else name(longest[which][2], value))
        return "".join(pieces)
