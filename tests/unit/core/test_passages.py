"""Where text sits: it is read, and rewritten, exactly there; JSON in text stays JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.core.errors import Code, Denied
from gateway.core.findings import Direction
from gateway.core.passages import JsonText, Number, Slot, rewrite, slots_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | TEXTS
    | st.floats(-1e6, 1e6, allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


def holding(text: str) -> tuple[dict[str, str], Slot]:
    holder = {"arguments": text}
    return holder, Slot(holder, "arguments", "/a", "assistant")


def strings(value: Any) -> list[str]:
    """Every string, name and long whole number, in document order: what a reader would read."""
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in (key, *strings(item))]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    if isinstance(value, str):
        return [value]
    whole = isinstance(value, int) or (isinstance(value, float) and value == int(value))
    long = whole and abs(value) > 99_999
    return [str(int(value))] if long else []


def test_a_slot_is_read_and_rewritten_where_it_stands() -> None:
    request = {"stop": ["a", "b"]}
    slot = Slot(request["stop"], 1, "/stop/1", "user")
    assert slot.text == "b"
    slot.put("c")
    assert request == {"stop": ["a", "c"]}
    passage = slot.passage()
    assert (passage.text, passage.where, passage.role) == ("c", "/stop/1", "user")
    assert (passage.direction, passage.before) == (Direction.INPUT, "")


@given(DOCUMENTS)
def test_every_text_of_a_document_is_a_slot(document: Any) -> None:
    _, slot = holding(json.dumps(document))
    slots = slots_of(slot, json=True)
    assert [inner.text for inner in slots] == strings(document)
    assert len({inner.where for inner in slots}) == len(slots)
    assert {inner.role for inner in slots} <= {"assistant"}


@given(DOCUMENTS, TEXTS, st.integers(0, 99))
def test_a_text_is_rewritten_and_the_rest_stays(document: Any, text: str, which: int) -> None:
    holder, slot = holding(json.dumps(document))
    slots = slots_of(slot, json=True)
    assume(slots)
    place = which % len(slots)
    expected = strings(document)
    expected[place] = text
    assume(len(set(expected)) == len(expected))  # else two names of an object may become one
    slots[place].put(text)
    assert strings(json.loads(holder["arguments"])) == expected
    assert slots[place].text == text


def test_several_texts_are_rewritten_one_after_the_other() -> None:
    holder, slot = holding('{"to": "ann", "n": [123456, 12345, true, 1.5, null], "cc": "bob"}')
    for inner in slots_of(slot, json=True):
        inner.put({"ann": '"A"\n', "123456": "[[CARD_1]]", "bob": "B"}.get(inner.text, inner.text))
    assert json.loads(holder["arguments"]) == {
        "to": '"A"\n', "n": ["[[CARD_1]]", 12345, True, 1.5, None], "cc": "B",
    }  # fmt: skip


def test_an_untouched_document_stays_byte_for_byte() -> None:
    text = '{ "a" :1.0,   "b": "x" }'
    holder, slot = holding(text)
    slots_of(slot, json=True)
    assert holder["arguments"] == text


@pytest.mark.parametrize(
    "text",
    ['{"a": ', "", "call me", "{'a': 1}", "NaN", '"\\ud83d"'],
)
def test_what_should_be_json_and_is_not_is_plain_text(text: str) -> None:
    _, slot = holding(text)
    assert slots_of(slot, json=True) == [slot]
    with pytest.raises(ValueError):  # noqa: PT011 - of several parsers' making
        JsonText(slot)


def test_a_name_that_is_there_twice_hides_nothing() -> None:
    """A parser keeps the last of two; the other would pass unseen, and may be the one read."""
    _, slot = holding('{"to": "banned", "to": "good"}')
    assert any("banned" in inner.text for inner in slots_of(slot, json=True))


def test_json_that_nests_deep_is_read_all_the_same() -> None:
    _, slot = holding("[" * 1_000 + '"deep"' + "]" * 1_000)
    assert any("deep" in inner.text for inner in slots_of(slot, json=True))


def test_text_that_need_not_be_json_is_one_slot() -> None:
    _, slot = holding('{"a": "b"}')
    assert slots_of(slot, json=False) == [slot]


def test_what_is_fixed_is_read_and_refused_to_be_rewritten() -> None:
    holder = {"name": "send"}
    slot = Slot(holder, "name", "/tools/0/name", "tools", fixed=True)
    slot.put("send")
    with pytest.raises(Denied, match="/tools/0/name") as refused:
        slot.put("x")
    assert (refused.value.code, refused.value.param) == (Code.CONTENT_FILTER, "/tools/0/name")
    assert holder == {"name": "send"}


@pytest.mark.parametrize(
    ("value", "long"),
    [
        (99_999, False),
        (100_000, True),
        (-100_000, True),
        (True, False),
        (1e9, True),
        (1e9 + 0.5, False),
        (float("inf"), False),
        ("1", False),
    ],
)
def test_which_numbers_may_be_personal_data(value: object, long: bool) -> None:
    assert Number.is_long(value) is long


def test_a_number_stays_one_until_it_is_rewritten() -> None:
    holder = {"card": 4111111111111111}
    slot = Number(holder, "card", "/card", "user")
    slot.put(slot.text)
    assert holder == {"card": 4111111111111111}
    slot.put("[[CREDIT_CARD_1]]")
    assert holder == {"card": "[[CREDIT_CARD_1]]"}
    assert slot.text == "[[CREDIT_CARD_1]]"


def test_names_that_would_become_one_are_refused_and_nothing_is_lost() -> None:
    text = '{"to": {"ann": 1, "bob": 2}}'
    holder, slot = holding(text)
    with pytest.raises(Denied, match="at /a would become the same"):
        rewrite([(inner, "x") for inner in slots_of(slot, json=True) if inner.text != "to"])
    assert holder["arguments"] == text


def test_names_may_change_places() -> None:
    holder, slot = holding('{"ann": 1, "bob": 2}')
    first, second = slots_of(slot, json=True)
    rewrite([(first, "bob"), (second, "ann")])
    assert holder["arguments"] == '{"bob":1,"ann":2}'


def test_many_texts_are_written_at_once() -> None:
    """One by one it would take time by the square of their number."""
    holder, slot = holding(json.dumps([f"a{number}" for number in range(20_000)]))
    rewrite([(inner, inner.text.upper()) for inner in slots_of(slot, json=True)])
    assert json.loads(holder["arguments"])[-1] == "A19999"
