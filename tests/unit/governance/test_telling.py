"""What is told of an exchange with what was said in it: bounded, and nothing where it may not."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.audit import Said
from gateway.core.exports import Record
from gateway.governance.formats import FORMATS
from gateway.governance.formats.view import View
from gateway.governance.telling import MOST_CHARACTERS, MOST_TEXTS, Told, views
from tests.unit.governance.formats.test_view import exchange, leaf

ACT = Record([leaf(4, "audit.read", {"exchange": "exc_1"})])


class Known:
    """What was said, by exchange; notes what it was asked for."""

    def __init__(self, said: Mapping[str, Said | None]) -> None:
        self._said = said
        self.asked: list[set[str]] = []

    async def of(self, exchange_ids: Collection[str]) -> Mapping[str, Said | None]:
        self.asked.append(set(exchange_ids))
        return self._said

    async def stop(self) -> None:
        pass


async def told(record: Record, said: Mapping[str, Said | None]) -> Told:
    (view,) = await views([record], str, Known(said))
    assert isinstance(view, Told)
    return view


async def test_an_exchange_is_told_with_its_texts_and_an_act_without() -> None:
    texts = Known({"exc_1": Said(asked=["Hello."], answered=["Hi."])})
    whole, act = await views([exchange(), ACT], str, texts)
    line = json.loads(FORMATS["jsonl"].line(whole))
    assert line["content"] == {
        "request": ["Hello."], "answer": ["Hi."], "cut": False, "withheld": None,
    }  # fmt: skip
    (plain,) = await views([exchange()], str)
    assert {name: value for name, value in line.items() if name != "content"} == json.loads(
        FORMATS["jsonl"].line(plain)
    )
    assert "content" not in json.loads(FORMATS["jsonl"].line(act))
    assert texts.asked == [{"exc_1"}]


async def test_only_what_is_wanted_is_read() -> None:
    texts = Known({})
    assert await views([exchange()], str, texts, lambda view: view.kind != "exchange") == []
    assert await views([ACT], str, texts) != []
    assert texts.asked == []


async def test_nothing_is_told_of_what_is_gone_unreadable_or_altered() -> None:
    assert (await told(exchange(), {})).content.withheld == "gone"
    assert (await told(exchange(), {"exc_1": None})).content.withheld == "unreadable"
    texts = Known({"exc_1": Said(asked=["Hello."])})
    (altered,) = await views([exchange(intact=False)], str, texts)
    assert isinstance(altered, Told)
    assert (altered.content.withheld, altered.content.request) == ("not_intact", [])
    assert texts.asked == []


LONG = st.builds(lambda text, times: text * times, st.text(max_size=9), st.integers(0, 9_000))


@given(asked=st.lists(LONG, max_size=6), answered=st.lists(st.text(), max_size=400))
async def test_what_is_told_is_the_beginning_and_bounded(
    asked: Sequence[str], answered: Sequence[str]
) -> None:
    content = (await told(exchange(), {"exc_1": Said(asked=asked, answered=answered)})).content
    for texts, given_ in ((content.request, asked), (content.answer, answered)):
        assert sum(map(len, texts)) <= MOST_CHARACTERS
        assert len(texts) <= MOST_TEXTS
        assert "".join(given_).startswith("".join(texts))
    every = sum(map(len, [*asked, *answered]))
    assert content.cut == (sum(map(len, [*content.request, *content.answer])) < every)


async def test_half_of_a_pair_stops_nobody() -> None:
    view: View = await told(exchange(), {"exc_1": Said(answered=["a\ud800b"])})
    assert json.loads(FORMATS["jsonl"].line(view))["content"]["answer"] == ["a?b"]
