"""Known questions, as the official `openai` package hears the known answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.callers import PRICED, Caller, caller, ended, eventually, make_key, user
from tests.houses import House

ANN = "ann.lee@example.org"
HOW: list[dict[str, Any]] = [
    {"stream": False},
    {"stream": True},
    {"stream": True, "stream_options": {"include_usage": True}},
]


@pytest.fixture(scope="module")
def cached(open_house: House) -> Iterator[Caller]:
    """An application whose answers a rule allows to keep."""
    with caller(open_house, make_key(open_house, app="cached")[0]) as made:
        yield made


def answer(client: Caller, text: str, **how: Any) -> tuple[str, str, Any]:
    """What the cache had, the exchange's id, and the whole answer, folded if it was streamed."""
    asked: Any = {"model": PRICED, "messages": user(text), "n": 2}
    create = client.chat.completions.with_raw_response.create
    raw = create(**asked, **how)
    had, id = raw.headers["x-govgate-cache"], raw.headers["x-request-id"]
    if not how["stream"]:
        return had, id, raw.parse().to_dict()
    body: dict[str, Any] = {}
    said: dict[int, dict[str, Any]] = {0: {}, 1: {}}
    for chunk in raw.parse():
        if chunk.usage:
            body["usage"] = chunk.usage.to_dict()
        for choice in chunk.choices:
            told = said[choice.index]
            told["content"] = told.get("content", "") + (choice.delta.content or "")
            told["finish_reason"] = choice.finish_reason or told.get("finish_reason")
            told.setdefault("id", chunk.id)
    return had, id, {**body, "said": said}


@pytest.mark.parametrize("first", range(3))
@pytest.mark.parametrize("second", range(3))
def test_c40_a_known_question(first: int, second: int, open_house: House, cached: Caller) -> None:
    """Streamed or not, the first or the second time: it reads the same, and costs once."""
    text = f"Write to {ANN} about case {first}{second}. Then wait."
    had, source, one = answer(cached, text, **HOW[first])
    assert had == "miss"
    assert ended(open_house, source)["attempts"] == 1
    again, id, two = hit(cached, text, **HOW[second])
    assert again.startswith("hit; source=exc_")
    assert texts(one) == texts(two) == [f"You said: {text}", f"I heard: {text}"]
    facts = ended(open_house, id)
    assert (facts["outcome"], facts["attempts"], facts["cost_micro_usd"]) == ("completed", 0, 0)
    if second != 1:
        assert two["usage"]["completion_tokens"] > 0
    else:
        assert "usage" not in two


def hit(client: Caller, text: str, **how: Any) -> tuple[str, str, Any]:
    """An answer from the cache; it is kept just after the first answer was delivered."""

    def again() -> tuple[str, str, Any] | None:
        found = answer(client, text, **how)
        return found if found[0].startswith("hit") else None

    return eventually(again)


def texts(one: Any) -> list[str]:
    if "said" in one:
        assert {said["finish_reason"] for said in one["said"].values()} == {"stop"}
        return [said["content"] for said in one["said"].values()]
    return [choice["message"]["content"] for choice in one["choices"]]


def test_c40_a_whole_answer_has_every_member_after_a_stream(cached: Caller) -> None:
    """What was kept of a stream serves a caller who asks for the whole."""
    text = "Once streamed, then whole."
    assert answer(cached, text, stream=True)[0] == "miss"
    _, id, again = hit(cached, text, stream=False)
    _, _, fresh = answer(cached, text + " Else.", stream=False)
    assert again.keys() == fresh.keys()
    assert again["object"] == fresh["object"]
    for mine, other in zip(again["choices"], fresh["choices"], strict=True):
        assert mine.keys() == other.keys()
        assert mine["message"].keys() == other["message"].keys()
    assert again["id"] == id, "an answer has an id of its own"


def test_c40_values_are_not_kept_in_clear(cached: Caller) -> None:
    """The same question about somebody else is the same question: only masks were kept."""
    answer(cached, "Mail bob@example.org today.", stream=False)
    _, _, two = hit(cached, "Mail eve@example.org today.", stream=False)
    assert texts(two)[0] == "You said: Mail eve@example.org today."


def test_c40_without_a_rule_nothing_is_kept(open_client: Caller) -> None:
    for _ in range(2):
        assert answer(open_client, "Again?", stream=False)[0] == "off"


def test_c40_another_application_has_another_cache(open_house: House, cached: Caller) -> None:
    answer(cached, "Whose?", stream=False)
    hit(cached, "Whose?", stream=False)
    other, _ = make_key(open_house, app="cached", org="other")
    with caller(open_house, other) as stranger:
        assert answer(stranger, "Whose?", stream=False)[0] == "miss"
