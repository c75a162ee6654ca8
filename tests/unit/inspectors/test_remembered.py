"""A text is looked at once; what was found is said of every place where it stands."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.findings import Direction, Finding
from gateway.core.passages import Passage
from gateway.inspectors.pii import PiiInspector
from gateway.inspectors.remembered import Remembered

MAIL = "Write to ann@example.org, please."


class Counting:
    """Finds personal data, and counts what it was shown."""

    name = "pii"

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.broken = False

    async def inspect(self, passages: Sequence[Passage]) -> list[Finding]:
        if self.broken:
            raise RuntimeError("broken")
        self.shown += [passage.text for passage in passages]
        return await PiiInspector().inspect(passages)


async def test_a_text_is_looked_at_once() -> None:
    inner = Counting()
    remembered = Remembered(inner)
    first = await remembered.inspect([Passage(MAIL, "/messages/0/content")])
    later = [Passage("Hello", "/messages/0/content"), Passage(MAIL, "/messages/1/content")]
    second = await remembered.inspect(later)
    assert inner.shown == [MAIL, "Hello"]
    assert [finding.where for finding in first] == ["/messages/0/content"]
    assert [finding.where for finding in second] == ["/messages/1/content"]
    assert (first[0].start, first[0].end) == (second[0].start, second[0].end)


@pytest.mark.parametrize(
    "other",
    [
        Passage(MAIL, "/a", role="assistant"),
        Passage(MAIL, "/a", Direction.OUTPUT),
        Passage(MAIL[1:], "/a", before=MAIL[:1]),
        Passage(MAIL + " ", "/a"),
    ],
)
async def test_what_differs_in_anything_that_is_shown_is_another(other: Passage) -> None:
    inner = Counting()
    remembered = Remembered(inner)
    await remembered.inspect([Passage(MAIL, "/a"), other])
    assert len(inner.shown) == 2


async def test_a_failure_is_not_remembered() -> None:
    inner = Counting()
    remembered = Remembered(inner)
    inner.broken = True
    with pytest.raises(RuntimeError):
        await remembered.inspect([Passage(MAIL, "/a")])
    inner.broken = False
    assert len(await remembered.inspect([Passage(MAIL, "/a")])) == 1


async def test_it_forgets_what_was_not_asked_for_longest() -> None:
    inner = Counting()
    remembered = Remembered(inner, most=2)
    for text in ("one", "two", "one", "three", "two"):
        await remembered.inspect([Passage(text, "/a")])
    assert inner.shown == ["one", "two", "three", "two"]


_TEXTS = st.sampled_from([MAIL, "", "Hello", "\ud800", "+44 20 7946 0018 or 4111 1111 1111 1111"])


@given(asked=st.lists(st.lists(_TEXTS, max_size=4), max_size=4))
async def test_it_finds_what_the_inspector_finds(asked: list[list[str]]) -> None:
    remembered = Remembered(PiiInspector())
    for texts in asked:
        passages = [Passage(text, f"/{place}") for place, text in enumerate(texts)]
        assert await remembered.inspect(passages) == await PiiInspector().inspect(passages)
