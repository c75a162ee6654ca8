"""`mask`: placeholders out, values back, and nothing invented on the way."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.core.answer import Lane
from gateway.core.errors import Code, Denied
from gateway.core.exchange import Exchange
from gateway.core.findings import Direction, Finding
from gateway.dialects.chat import Chat
from gateway.obligations.mask import Mask, Restore, Vault
from tests.exchanges import chat_request, decided, pieces
from tests.fakes.inspector import FakeInspector
from tests.fakes.masker import FakeMasker

ANN, BOB, TEL = "ann@example.org", "bob@example.org", "0612345678"
FIND = FakeInspector({ANN: "EMAIL_ADDRESS", BOB: "EMAIL_ADDRESS", TEL: "PHONE_NUMBER"})
PARAMS = {"labels": ["EMAIL_ADDRESS", "PHONE_NUMBER"], "with": "placeholder"}
CONTENT = Lane(0, "content")
ARGUMENTS = Lane(0, "tool_calls/0/function/arguments", json=True)


class Continuing(Chat):
    """A dialect whose provider holds the earlier turns."""

    def continues(self, request: dict[str, Any]) -> bool:
        return True


async def inspected(*texts: str, **more: Any) -> Exchange:
    """An exchange whose request says `texts` and was inspected."""
    exchange = decided(chat_request(*texts, **more))
    exchange.found(await FIND.inspect([slot.passage() for slot in exchange.slots]))
    return exchange


async def masked(*texts: str, **more: Any) -> tuple[list[str], Any]:
    """What is sent for `texts`, and what makes the rewriters of the answer."""
    exchange = await inspected(*texts, **more)
    make = await Mask(FakeMasker())(exchange, PARAMS)
    return [message["content"] for message in exchange.request["messages"]], make


async def restored(make: Any, text: str, lane: Lane = CONTENT) -> str:
    rewriter = make(lane)
    shown: str = await rewriter.feed(text) + await rewriter.finish()
    return shown


class TestOut:
    async def test_the_same_value_has_the_same_placeholder(self) -> None:
        sent, _ = await masked(f"{BOB} and {ANN}", f"{ANN}, {BOB}, {TEL}")
        assert sent == [
            "[[EMAIL_ADDRESS_1]] and [[EMAIL_ADDRESS_2]]",
            "[[EMAIL_ADDRESS_2]], [[EMAIL_ADDRESS_1]], [[PHONE_NUMBER_1]]",
        ]

    async def test_turns_that_the_provider_joins_share_no_placeholder(self) -> None:
        named: list[str] = []
        for value in (ANN, BOB):
            exchange = await inspected(f"I am {value}")
            exchange.dialect = Continuing()
            await Mask(FakeMasker())(exchange, PARAMS)
            named += re.findall(
                r"\[\[EMAIL_ADDRESS_\d+\]\]", exchange.request["messages"][0]["content"]
            )
        assert len(set(named)) == 2

    async def test_a_conversation_that_goes_on_is_masked_alike(self) -> None:
        first, _ = await masked(f"I am {ANN}", f"call {TEL}")
        longer, _ = await masked(f"I am {ANN}", f"call {TEL}", f"or write to {BOB}, {ANN}")
        assert longer[:2] == first
        assert longer[2] == "or write to [[EMAIL_ADDRESS_2]], [[EMAIL_ADDRESS_1]]"

    async def test_two_exchanges_share_no_names(self) -> None:
        assert (await masked(ANN))[0] == (await masked(BOB))[0]

    async def test_without_a_finding_nothing_is_done(self) -> None:
        sent, make = await masked("nothing [here] to see")
        assert sent == ["nothing [here] to see"]
        assert make is None

    @pytest.mark.parametrize(
        "but",
        [{"label": "OTHER"}, {"score": 0.49}, {"direction": Direction.OUTPUT}, {"end": 0}],
        ids=str,
    )
    async def test_only_what_the_rule_names_is_masked(self, but: Mapping[str, Any]) -> None:
        exchange = decided(chat_request(ANN))
        found = {"kind": "pii", "label": "EMAIL_ADDRESS", "where": "/messages/0/content",
                 "start": 0, "end": len(ANN), "score": 0.5}  # fmt: skip
        exchange.found([Finding(**{**found, **but})])
        assert await Mask(FakeMasker())(exchange, PARAMS) is None
        assert exchange.request["messages"][0]["content"] == ANN

    async def test_arguments_stay_json(self) -> None:
        call = {"id": "t", "function": {"name": "f", "arguments": json.dumps({"to": [ANN, "x"]})}}
        request = chat_request("hi")
        request["messages"].append({"role": "assistant", "content": None, "tool_calls": [call]})
        exchange = decided(request)
        exchange.found(await FIND.inspect([slot.passage() for slot in exchange.slots]))
        await Mask(FakeMasker())(exchange, PARAMS)
        sent = exchange.request["messages"][1]["tool_calls"][0]["function"]["arguments"]
        assert json.loads(sent) == {"to": ["[[EMAIL_ADDRESS_1]]", "x"]}

    async def test_names_are_masked_where_they_stand(self) -> None:
        metadata = {"case": "x", ANN: BOB, "n": {TEL: ANN}}
        exchange = await inspected("hi", metadata=metadata)
        await Mask(FakeMasker())(exchange, PARAMS)
        assert list(exchange.request["metadata"].items()) == [
            ("case", "x"),
            ("[[EMAIL_ADDRESS_2]]", "[[EMAIL_ADDRESS_1]]"),
            ("n", {"[[PHONE_NUMBER_1]]": "[[EMAIL_ADDRESS_2]]"}),
        ]
        assert [slot.text for slot in exchange.slots if ANN in slot.text] == []

    async def test_a_name_that_looks_like_a_placeholder_takes_no_others_place(self) -> None:
        metadata = {ANN: 1, "[[EMAIL_ADDRESS_1]]": 2, "[[LITERAL_1]]": 3}
        exchange = await inspected("hi", metadata=metadata)
        make = await Mask(FakeMasker())(exchange, PARAMS)
        assert list(exchange.request["metadata"].values()) == [1, 2, 3]
        sent = json.dumps(exchange.request["metadata"])
        assert json.loads(await restored(make, sent, ARGUMENTS)) == metadata

    async def test_a_name_that_must_stay_refuses_the_request(self) -> None:
        parameters = {"type": "object", "$defs": {ANN: {}}}
        tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
        exchange = await inspected(f"I am {BOB}", tools=[tool])
        with pytest.raises(Denied, match="/tools/0/function/parameters/") as refused:
            await Mask(FakeMasker())(exchange, PARAMS)
        assert refused.value.code is Code.CONTENT_FILTER
        assert refused.value.param == "/tools/0/function/parameters/$defs/#0#"
        assert ANN not in refused.value.message

    async def test_what_no_rule_masks_may_stay_fixed(self) -> None:
        tool = {"type": "function", "function": {"name": "f", "parameters": {"$defs": {ANN: {}}}}}
        exchange = await inspected(f"call {TEL}", tools=[tool])
        await Mask(FakeMasker())(exchange, {"labels": ["PHONE_NUMBER"]})
        assert exchange.request["tools"] == [tool]

    @pytest.mark.parametrize(
        "params",
        [
            {},
            {"labels": "EMAIL_ADDRESS"},
            {"labels": [1]},
            {"labels": [], "with": "hash"},
            {"labels": [], "min_score": "high"},
            {"labels": [], "more": 1},
        ],
        ids=str,
    )
    async def test_params_of_another_shape_are_refused(self, params: Mapping[str, Any]) -> None:
        exchange = await inspected(ANN)
        with pytest.raises(msgspec.ValidationError):
            await Mask(FakeMasker())(exchange, params)
        assert exchange.request["messages"][0]["content"] == ANN


class TestBack:
    @pytest.mark.parametrize(
        "said",
        [
            "[[EMAIL_ADDRESS_1]]",
            "[[email_address_1]]",
            "[[Email_Address_1]]",
            "[[ EMAIL_ADDRESS_1 ]]",
            r"\[\[EMAIL_ADDRESS_1\]\]",
            r"[[EMAIL\_ADDRESS\_1]]",
            r"\\[\\[EMAIL\\_ADDRESS\\_1\\]\\]",
        ],
    )
    async def test_a_placeholder_is_restored_however_a_model_writes_it(self, said: str) -> None:
        _, make = await masked(ANN)
        assert await restored(make, f"To {said}.") == f"To {ANN}."

    @pytest.mark.parametrize(
        "said",
        [
            "[[EMAIL_ADDRESS_2]]",
            "[[EMAIL_ADDRESS_11]]",
            "[[EMAIL_ADDRESS_]]",
            "[[PHONE_NUMBER_1]]",
            "[EMAIL_ADDRESS_1]",
            "[[EMAIL_ADDRESS_1]",
            "[[EMAIL-ADDRESS-1]]",
            "EMAIL_ADDRESS_1",
            "[[]]",
        ],
    )
    async def test_what_the_model_invents_stays(self, said: str) -> None:
        _, make = await masked(ANN)
        assert await restored(make, f"{said} x") == f"{said} x"

    @pytest.mark.parametrize(
        "literal",
        [
            "[[EMAIL_ADDRESS_1]]",
            "[[email_address_1]]",
            "[[ EMAIL_ADDRESS_1 ]]",
            r"\[\[EMAIL_ADDRESS_1\]\]",
            r"[[EMAIL\_ADDRESS\_1]]",
            "[[LITERAL_1]]",
        ],
    )
    async def test_text_that_looks_like_a_placeholder_comes_back_as_it_was(
        self, literal: str
    ) -> None:
        sent, make = await masked(f"{ANN} wrote {literal}")
        assert await restored(make, f"You said: {sent[0]}") == f"You said: {ANN} wrote {literal}"

    async def test_double_brackets_that_name_nothing_are_not_touched(self) -> None:
        text = "if [[ -f a_file ]]; see [[Main Page]], m[[1]]"
        sent, make = await masked(f"{ANN} {text}")
        assert sent == [f"[[EMAIL_ADDRESS_1]] {text}"]
        assert await restored(make, text) == text

    async def test_a_value_is_not_read_again_for_placeholders(self) -> None:
        vault = Vault()
        assert vault.name("A", "[[B_1]]") == "[[A_1]]"
        assert vault.name("B", "secret") == "[[B_1]]"
        rewriter = Restore(vault.values, json=False)
        assert await rewriter.feed("[[A_1]][[B_1]]") == "[[B_1]]secret"

    @given(cuts=st.lists(st.integers(0, 80), max_size=6))
    async def test_names_come_back_however_they_are_cut(self, cuts: list[int]) -> None:
        _, make = await masked(f"{ANN} and {TEL}")
        said = '{"[[EMAIL_ADDRESS_1]]": {"[[PHONE_NUMBER_1]] [": 1}, "[[X_1]]": []}'
        places = sorted({0, len(said), *(cut for cut in cuts if cut < len(said))})
        rewriter = make(ARGUMENTS)
        shown = (
            "".join([await rewriter.feed(said[a:b]) for a, b in itertools.pairwise(places)])
            + await rewriter.finish()
        )
        assert json.loads(shown) == {ANN: {f"{TEL} [": 1}, "[[X_1]]": []}

    @pytest.mark.parametrize(
        ("lane", "more", "escaped"),
        [
            (CONTENT, {}, False),
            (ARGUMENTS, {}, True),
            (CONTENT, {"response_format": {"type": "json_object"}}, True),
            (Lane(0, "refusal"), {"response_format": {"type": "json_object"}}, False),
        ],
        ids=["text", "arguments", "an answer in JSON", "a refusal beside it"],
    )
    async def test_in_json_a_value_is_escaped(self, lane: Lane, more: Any, escaped: bool) -> None:
        value = 'a "b"\\\nc'
        exchange = decided(chat_request(value, **more))
        exchange.found([Finding("pii", "NAME", "/messages/0/content", 0, len(value), 1.0)])
        make = await Mask(FakeMasker())(exchange, {"labels": ["NAME"]})
        shown = await restored(make, '{"x": "[[NAME_1]]"}', lane)
        if escaped:
            assert json.loads(shown) == {"x": value}
        else:
            assert shown == f'{{"x": "{value}"}}'


VALUES = {"EMAIL_1": ANN, "EMAIL_12": BOB, "ID_1": "i", "A_1": "[[ID_1]]"}
LONGEST = len(r"\\[\\[") + 2 * len("EMAIL_12") + 4 + len(r"\\]\\")
"""A placeholder as a model may escape it: each letter apart, the brackets twice."""
SCRAPS = st.sampled_from(
    [*(f"[[{name}]]" for name in VALUES), "[[EMAIL_1", "_12]]", "EMAIL\\_1", "[[email_1]]", "\\[",
     "\\\\", "]]", "[[", "[", "]", "_", " ", "x", "1", "\n", "[[ ID_1 ]]", "\\]\\]"]
)  # fmt: skip
TEXTS = st.lists(SCRAPS | st.text("[]\\_ EMAILDmd12x.", max_size=6), max_size=12).map("".join)
CUTS = st.lists(st.integers(0, 120), max_size=14)


@given(TEXTS, CUTS, st.booleans())
async def test_how_the_text_is_cut_changes_nothing(text: str, cuts: list[int], json: bool) -> None:
    whole = Restore(VALUES, json=json)
    expected = await whole.feed(text) + await whole.finish()
    rewriter = Restore(VALUES, json=json)
    shown = [await rewriter.feed(piece) for piece in pieces(text, cuts)]
    assert "".join([*shown, await rewriter.finish()]) == expected


@given(TEXTS)
async def test_no_more_is_held_back_than_the_longest_placeholder(text: str) -> None:
    whole = Restore(VALUES, json=False)
    assume(await whole.feed(text) + await whole.finish() == text)  # so that lengths compare
    rewriter = Restore(VALUES, json=False)
    shown = 0
    for said, letter in enumerate(text, 1):
        shown += len(await rewriter.feed(letter))
        assert said - shown <= LONGEST


@pytest.mark.parametrize("text", ["[[Main", "[[EMAIL_2", "[[EMAIL_1]x", "[x", "\\n", "[[EMAILS"])
async def test_what_can_become_no_placeholder_is_not_held_back(text: str) -> None:
    assert await Restore(VALUES, json=False).feed(text) == text


@given(st.text(st.characters(exclude_characters="[\\"), max_size=50), CUTS)
async def test_text_without_brackets_is_never_delayed(text: str, cuts: list[int]) -> None:
    rewriter = Restore(VALUES, json=False)
    for piece in pieces(text, cuts):
        assert await rewriter.feed(piece) == piece


@given(st.text(max_size=10), st.sampled_from(sorted(VALUES)), st.text(max_size=10), CUTS)
async def test_json_stays_json(left: str, name: str, right: str, cuts: list[int]) -> None:
    value = 'a "quoted" \\ \n value'
    assume("[" not in left + right)
    text = json.dumps({"x": f"{left}[[{name}]]{right}", "n": 1})
    rewriter = Restore({name: value}, json=True)
    shown = [await rewriter.feed(piece) for piece in pieces(text, cuts)]
    told = json.loads("".join([*shown, await rewriter.finish()]))
    # a backslash before a placeholder is taken for the model's escaping
    assert told["x"].replace("\\", "") == f"{left}{value}{right}".replace("\\", "")


@given(st.lists(st.tuples(st.sampled_from("AB"), st.text(max_size=2)), max_size=20))
def test_names_are_numbered_by_first_occurrence(asked: list[tuple[str, str]]) -> None:
    vault = Vault()
    told = [vault.name(label, value) for label, value in asked]
    for label in "AB":
        first = dict.fromkeys(value for given_label, value in asked if given_label == label)
        numbered = {value: f"[[{label}_{n}]]" for n, value in enumerate(first, 1)}
        assert [t for t, (la, _) in zip(told, asked, strict=True) if la == label] == [
            numbered[value] for given_label, value in asked if given_label == label
        ]
