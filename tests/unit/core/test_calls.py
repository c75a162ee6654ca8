"""The calls of an answer are each told once, when they are whole."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.answer import Event
from gateway.core.calls import NAME, NUMBER, TEXT, Calls, ToolCall, facts_of
from gateway.dialects.chat import Chat
from tests.exchanges import called, chunk, spoken

CHAT = Chat()


def named(*names: str, offered: tuple[str, ...] = ()) -> list[ToolCall]:
    """The calls of a stream that says a call's name in these pieces."""
    calls, due = Calls(CHAT, offered), []
    for name in names:
        function = {"name": name, "arguments": ""}
        due += calls.hear(chunk(0, {"tool_calls": [{"index": 0, "function": function}]}))
    assert due == []
    assert calls.open
    return calls.hear(chunk(0, {}, "tool_calls"))


@pytest.mark.parametrize(
    ("pieces", "offered", "name"),
    [
        (["look"], [], "look"),
        (["lo", "ok"], [], "look"),
        (["look", "", ""], [], "look"),
        (["look", "look"], [], "look"),
        (["go", "go"], ["gogo"], "gogo"),
        ([""], [], ""),
    ],
)
def test_a_name_is_put_together(pieces: list[str], offered: list[str], name: str) -> None:
    [call] = named(*pieces, offered=tuple(offered))
    assert call == ToolCall("0/tool_calls/0/function", name, "")


def test_a_call_is_told_when_its_choice_ends() -> None:
    calls = Calls(CHAT, ())
    told = [calls.hear(event) for event in called(['{"a', '":1}'])]
    assert [len(due) for due in told] == [0, 0, 0, 1]
    assert told[-1][0].arguments == '{"a":1}'
    assert not calls.open
    assert calls.rest() == []


def test_what_was_begun_is_told_at_the_end() -> None:
    calls = Calls(CHAT, ())
    for event in called(['{"a'])[:-1]:
        calls.hear(event)
    assert [call.arguments for call in calls.rest()] == ['{"a']
    assert not calls.open


def test_events_that_cannot_call_are_not_read() -> None:
    class Blind(Chat):
        def calls(self, event: Event) -> Any:
            raise AssertionError("it was read")

    calls = Calls(Blind(), ())
    for event in spoken(["a", "b"]):
        event.encode()
        assert calls.hear(event) == []
    assert calls.hear(Event({"text": "tool"}, whole=True, raw=b"tool", media="text/plain")) == []


@pytest.mark.parametrize("escaped", [b'"\\u0074ool_calls"', b'"tool_calls"'])
def test_names_in_escapes_are_seen(escaped: bytes) -> None:
    [opened, *_] = called(["{}"])
    opened.raw = opened.encode().replace(b'"tool_calls"', escaped).replace(b"function", b"")
    calls = Calls(CHAT, ())
    calls.hear(opened)
    assert calls.open


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def strings(value: Any) -> list[str]:
    match value:
        case str():
            return [value]
        case list():
            return [text for item in value for text in strings(item)]
        case dict():
            return [t for k, item in value.items() for t in [k, *strings(item)]]
        case _:
            return []


@given(JSON)
def test_facts_hold_nobodys_words(value: Any) -> None:
    told = strings(facts_of({"given": value}, {"found"}))
    assert all(text in (TEXT, NUMBER, NAME) or text.isidentifier() for text in told)
    assert "found" not in told


def test_facts_keep_the_shape_and_small_numbers() -> None:
    value = {"n": 5, "card": 4111111111, "ok": True, "no": None, "a b": [1.5, "x"], "ann": 1}
    assert facts_of(value, {"ann"}) == {
        "n": 5, "card": NUMBER, "ok": True, "no": None, NAME: 1,
    }  # fmt: skip
    assert facts_of({"a b": [1.5, "x"]}) == {NAME: [1.5, TEXT]}
