"""What every `Inspector` promises: the fake, our patterns, phrases, Presidio's analyzer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from gateway.adapters.presidio import AnalyzerInspector
from gateway.core.findings import Direction, Finding
from gateway.core.passages import Passage
from gateway.core.ports import Inspector
from gateway.inspectors import pii
from gateway.inspectors.phrases import PhraseInspector
from gateway.inspectors.pii import PiiInspector
from gateway.inspectors.recognisers import LABELS
from tests.fakes.inspector import FakeInspector

VALUE = "bob@example.com"
"""What each of them is able to find."""


@pytest.fixture(params=["fake", "pii", "phrase", "presidio"])
async def inspector(request: pytest.FixtureRequest) -> AsyncIterator[Inspector]:
    match request.param:
        case "fake":
            yield FakeInspector({VALUE: "EMAIL_ADDRESS"})
        case "pii":
            yield PiiInspector()
        case "phrase":
            yield PhraseInspector({"people": [VALUE]})
        case "presidio":
            analyzer = AnalyzerInspector(pii.scan, LABELS, seconds=30)
            yield analyzer
            await analyzer.aclose()


def places(findings: Sequence[Finding]) -> list[tuple[str, int, int]]:
    return [(finding.where, finding.start, finding.end) for finding in findings]


async def test_every_promise(inspector: Inspector) -> None:
    """One test, because an analyzer takes seconds to start."""
    await says_where(inspector)
    await sees_only_what_ends_in_the_text(inspector)
    await counts_characters(inspector)
    await depends_on_nothing_but_the_passages(inspector)


async def says_where(inspector: Inspector) -> None:
    assert inspector.name
    assert list(await inspector.inspect([])) == []
    assert list(await inspector.inspect([Passage("", "/a"), Passage("nothing", "/b")])) == []
    found = await inspector.inspect([
        Passage(f"to {VALUE}", "/a"), Passage("no", "/b"),
        Passage(VALUE, "content", Direction.OUTPUT, "assistant"),
    ])  # fmt: skip
    size = len(VALUE)
    assert places(found) == [("/a", 3, 3 + size), ("content", 0, size)]
    assert [finding.direction for finding in found] == [Direction.INPUT, Direction.OUTPUT]
    assert all(finding.kind and finding.label and 0 < finding.score <= 1 for finding in found)


async def sees_only_what_ends_in_the_text(inspector: Inspector) -> None:
    before, text = VALUE[:5], VALUE[5:] + " yes"
    assert places(await inspector.inspect([Passage(text, "/a", before=before)])) == [
        ("/a", -5, len(VALUE) - 5)
    ]
    assert list(await inspector.inspect([Passage(" and more", "/a", before=VALUE)])) == []


async def counts_characters(inspector: Inspector) -> None:
    lead = "é 漢 😀 "
    found = await inspector.inspect([Passage(f"{lead}{VALUE} {lead}{VALUE}", "/a")])
    second = 2 * len(lead) + len(VALUE) + 1
    assert [(start, end) for _, start, end in sorted(places(found))] == [
        (len(lead), len(lead) + len(VALUE)), (second, second + len(VALUE)),
    ]  # fmt: skip


async def depends_on_nothing_but_the_passages(inspector: Inspector) -> None:
    long = Passage(f"{VALUE} and so on, " * 600, "/long")
    short = Passage(VALUE, "/short")
    alone = [list(await inspector.inspect([passage])) for passage in (long, short)]
    together = await asyncio.gather(*(inspector.inspect([long, short]) for _ in range(3)))
    assert all(list(found) == alone[0] + alone[1] for found in together)
