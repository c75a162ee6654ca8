"""Names of members: each is seen, renamed where it stands, and never takes another's place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Code, Denied
from gateway.core.names import Names, named, names
from gateway.core.passages import Slot, rewrite

BETWEEN = "\n;\n"
NAMES = st.text(max_size=8) | st.sampled_from(["email", "first-name", "a", "b", "4111", BETWEEN])


def found(holder: dict[str, Any], **more: Any) -> list[Names]:
    return names(holder, "/x", "user", (), **more)


def names_in(slot: Names) -> list[str]:
    """The names that a slot shows; one that stands alone may be anything."""
    return slot.text.split(BETWEEN) if slot.where.endswith("/#") else [slot.text]


@given(st.dictionaries(NAMES, st.integers(), max_size=8))
def test_every_name_is_shown_once_in_a_place_of_its_own(holder: dict[str, int]) -> None:
    slots = found(holder)
    shown = [name for slot in slots for name in names_in(slot)]
    assert sorted(shown) == sorted(name for name in holder if name)
    assert len({slot.where for slot in slots}) == len(slots)


@given(st.dictionaries(NAMES, st.integers(), max_size=8))
def test_renaming_keeps_order_and_values(holder: dict[str, int]) -> None:
    before = list(holder.items())
    slots = found(holder)
    new = {name: f"<{name}>" for name in holder if name}
    rewrite([(slot, BETWEEN.join(new[name] for name in names_in(slot))) for slot in slots])
    assert list(holder.items()) == [(new.get(name, name), value) for name, value in before]


def test_plain_words_are_shown_together_and_others_alone() -> None:
    slots = found({"email": 1, "ann@example.org": 2, "type": 3, "phone": 4}, known={"type"})
    assert [(slot.where, slot.text) for slot in slots] == [
        ("/x/#", "email\n;\nphone"),
        ("/x/#1#", "ann@example.org"),
    ]


def test_what_stands_under_a_name_and_what_lists_it_go_with_it() -> None:
    holder = {"ann": "said", "bob": "too"}
    required = ["ann", "other", 1]
    beneath = [Slot(holder, "ann", "/x/#0", "user"), Slot(holder, "bob", "/x/#1", "user")]
    [slot] = names(holder, "/x", "user", beneath, lists=[required])
    slot.put("A\n;\nbob")
    assert holder == {"A": "said", "bob": "too"}
    assert required == ["A", "other", 1]
    beneath[0].put("new")
    assert (holder["A"], slot.text) == ("new", "A\n;\nbob")


def test_two_names_may_change_places() -> None:
    holder = {"a1": 1, "b2": 2}
    first, second = found(holder)
    rewrite([(first, "b2"), (second, "a1")])
    assert list(holder.items()) == [("b2", 1), ("a1", 2)]


def test_two_names_that_would_become_one_are_refused_and_nothing_is_lost() -> None:
    holder = {"a1": 1, "b2": 2}
    first, second = found(holder)
    with pytest.raises(Denied, match="would become the same") as refused:
        rewrite([(first, "x"), (second, "x")])
    assert (refused.value.code, refused.value.param) == (Code.CONTENT_FILTER, "/x")
    assert holder == {"a1": 1, "b2": 2}


def test_a_name_that_is_fixed_is_refused_and_named_by_its_place() -> None:
    holder = {"ann@example.org": 1}
    [slot] = found(holder, fixed=True)
    slot.put(slot.text)
    with pytest.raises(Denied, match="/x/#0#") as refused:
        slot.put("x")
    assert refused.value.param == "/x/#0#"
    assert "ann@example.org" not in refused.value.message
    assert holder == {"ann@example.org": 1}


def test_a_text_that_is_no_list_of_the_names_any_more_is_refused() -> None:
    holder = {"ann": 1, "bob": 2}
    [slot] = found(holder)
    with pytest.raises(Denied):
        slot.put("[[PHRASE_1]]")
    assert holder == {"ann": 1, "bob": 2}


def test_slots_come_first_and_are_left_as_they_are_where_every_name_is_known() -> None:
    holder = {"text": "a", "note": "b"}
    slots = [Slot(holder, "text", "/x/text", "user")]
    assert named(holder, "/x", "user", slots, {"text", "note"}) is slots
    assert [s.text for s in named(holder, "/x", "user", slots, {"text"})] == ["a", "note"]


def test_many_names_are_renamed_at_once() -> None:
    """One by one it would take time by the square of their number."""
    holder = {f"ann{number}": number for number in range(20_000)}
    rewrite([(slot, f"<{slot.text}>") for slot in found(holder)])
    assert list(holder)[::19_999] == ["<ann0>", "<ann19999>"]
