"""`screen`: what the model says is looked at before anybody sees it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from gateway.core.answer import FAILURE, Lane, MakeRewriter, Rewriter
from gateway.core.errors import Code, Filtered
from gateway.core.exchange import Exchange
from gateway.core.findings import Direction, Finding
from gateway.core.passages import Passage
from gateway.obligations.screen import CONTEXT, Screen
from tests.exchanges import chat_request, decided
from tests.fakes.inspector import FakeInspector

CONTENT = Lane(0, "content")
ARGUMENTS = Lane(0, "tool_calls/0/function/arguments", json=True)
BANNED = "nitro glycerine"


def finding(**more: Any) -> FakeInspector:
    return FakeInspector({BANNED: "BOMB", "7777": "SEVEN"}, kind="word", **more)


async def making(exchange: Exchange, inspector: Any, **params: Any) -> MakeRewriter:
    screen = Screen({"word": inspector, "pii": FakeInspector({})})
    make = await screen(exchange, {"kinds": ["word"], **params})
    assert make is not None
    return make


async def read(rewriter: Rewriter, pieces: Sequence[str]) -> list[str]:
    """What is let through for each piece, and at the end."""
    return [*[await rewriter.feed(piece) for piece in pieces], await rewriter.finish()]


async def shown(pieces: Sequence[str], lane: Lane = CONTENT, inspector: Any = None, **params: Any
                ) -> str:  # fmt: skip
    make = await making(decided(chat_request()), inspector or finding(), **params)
    return "".join(await read(make(lane), pieces))


class TestFilter:
    async def test_the_answer_stops_before_the_passage(self) -> None:
        exchange = decided(chat_request())
        rewriter = (await making(exchange, finding()))(CONTENT)
        assert await rewriter.feed("A fine day. Take nitro gly") == "A fine day. "
        with pytest.raises(Filtered) as broken:
            await rewriter.feed("cerine. And stir. ")
        assert broken.value.code is Code.CONTENT_FILTER
        assert broken.value.shown == ""
        assert "word" in broken.value.message
        assert BANNED not in broken.value.message
        [found] = exchange.findings
        assert (found.label, found.where, found.direction) == (
            "BOMB", "0/content", Direction.OUTPUT,
        )  # fmt: skip

    async def test_passages_cleared_in_the_same_piece_are_shown(self) -> None:
        rewriter = (await making(decided(chat_request()), finding()))(CONTENT)
        with pytest.raises(Filtered) as broken:
            await rewriter.feed("One. Two. Take nitro glycerine. Three. ")
        assert broken.value.shown == "One. Two. "

    async def test_it_is_found_at_the_end_too(self) -> None:
        rewriter = (await making(decided(chat_request()), finding()))(CONTENT)
        assert await rewriter.feed("Take nitro glycerine") == ""
        with pytest.raises(Filtered):
            await rewriter.finish()

    async def test_what_breaks_no_rule_passes_as_it_is(self) -> None:
        text = "All well. Nothing here? 再见。 Done\n\nBye"
        assert await shown([text]) == text


class TestRedact:
    async def test_the_finding_alone_is_struck_out(self) -> None:
        text = "Card 7777, I say. Take nitro glycerine!"
        assert await shown([text], on_match="redact") == "Card [SEVEN], I say. Take [BOMB]!"

    @pytest.mark.parametrize(
        ("spans", "expected"),
        [
            ([(0, 2)], "[A]cdefgh"),
            ([(6, 8)], "abcdef[A]"),
            ([(0, 8)], "[A]"),
            ([(1, 3), (5, 6)], "a[A]de[B]gh"),
            ([(1, 3), (3, 5)], "a[A][B]fgh"),
            ([(1, 5), (2, 3)], "a[A]fgh"),
            ([(2, 3), (1, 5)], "a[B]fgh"),
            ([(1, 4), (3, 6)], "a[A]gh"),
            ([(1, 4), (1, 6)], "a[B]gh"),
            ([(-3, 2)], "[A]cdefgh"),
        ],
        ids=str,
    )
    async def test_overlapping_findings_leave_nothing(
        self, spans: list[tuple[int, int]], expected: str
    ) -> None:
        class Spans:
            name = "spans"

            async def inspect(self, passages: Sequence[Passage]) -> list[Finding]:
                return [
                    Finding("word", label, passages[0].where, start, end, 1.0, Direction.OUTPUT)
                    for label, (start, end) in zip("AB", spans, strict=False)
                ]

        assert await shown(["abcdefgh"], inspector=Spans(), on_match="redact") == expected


class TestWhatAProviderSaysWhenItFails:
    """There is no answer to stop, so what is found is struck out; and all is seen at once."""

    @pytest.mark.parametrize("on_match", ["filter", "redact"])
    @pytest.mark.parametrize("unit", ["sentence", "whole"])
    async def test_what_is_found_is_struck_out(self, on_match: str, unit: str) -> None:
        inspector = finding()
        said = [f"A {BANNED}. And a {BANNED[:4]}", f"{BANNED[4:]}!"]
        told = await shown(said, FAILURE, inspector, on_match=on_match, unit=unit)
        assert told == "A [BOMB]. And a [BOMB]!"
        assert [passage.text for passage in inspector.seen] == ["".join(said)]


class TestWhatIsShownToTheInspector:
    async def test_a_finding_may_begin_in_the_passage_before(self) -> None:
        inspector = finding()
        text = "Take nitro\n\nglycerine now."
        spread = FakeInspector({"nitro\n\nglycerine": "BOMB"}, kind="word")
        assert await shown([text], inspector=inspector) == text  # the words, apart, are not it
        assert (
            await shown([text], inspector=spread, on_match="redact") == "Take nitro\n\n[BOMB] now."
        )
        with pytest.raises(Filtered):
            await shown([text], inspector=spread)

    async def test_it_sees_the_end_of_what_was_shown_before(self) -> None:
        inspector = finding()
        first = "x" * 300 + ". "
        await shown([f"{first}Second. Third."], inspector=inspector)
        passages = [(p.before, p.text) for p in inspector.seen]
        both = f"{first}Second. "
        assert passages == [
            ("", first), (first[-CONTEXT:], "Second. "), (both[-CONTEXT:], "Third."),
        ]  # fmt: skip
        assert {(p.role, p.direction) for p in inspector.seen} == {("assistant", Direction.OUTPUT)}

    async def test_lanes_have_nothing_before_them_of_each_other(self) -> None:
        inspector = finding()
        make = await making(decided(chat_request()), inspector)
        await read(make(CONTENT), ["One. "])
        await read(make(Lane(1, "content")), ["Two. "])
        assert [(p.where, p.before) for p in inspector.seen] == [
            ("0/content", ""),
            ("1/content", ""),
        ]

    @pytest.mark.parametrize(
        ("unit", "seen"),
        [
            ("sentence", ["One. ", "Two.\n\n", "Three. ", "Four"]),
            ("paragraph", ["One. Two.\n\n", "Three. Four"]),
            ("whole", ["One. Two.\n\nThree. Four"]),
        ],
    )
    async def test_the_unit_says_how_much_is_held(self, unit: str, seen: list[str]) -> None:
        inspector = finding()
        make = await making(decided(chat_request()), inspector, unit=unit)
        told = await read(make(CONTENT), list("One. Two.\n\nThree. Four"))
        assert [passage.text for passage in inspector.seen] == seen
        assert [text for text in told if text] == seen

    async def test_an_inspector_of_two_kinds_is_asked_once(self) -> None:
        both = FakeInspector({"7777": "SEVEN"}, kind="word")
        screen = Screen({"word": both, "pii": both})
        make = await screen(decided(chat_request()), {"kinds": ["word", "pii"]})
        assert make is not None
        await read(make(CONTENT), ["One."])
        assert len(both.seen) == 1


class TestWhatConcernsTheRule:
    @pytest.mark.parametrize(
        ("params", "inspector"),
        [
            ({"labels": ["BOMB"]}, finding()),
            ({"labels": []}, FakeInspector({"7777": "SEVEN"}, kind="other")),
            ({"min_score": 0.8}, finding(score=0.79)),
        ],
        ids=["another label", "another kind", "a lower score"],
    )
    async def test_other_findings_pass(self, params: Mapping[str, Any], inspector: Any) -> None:
        assert await shown(["It is 7777."], inspector=inspector, **params) == "It is 7777."

    @pytest.mark.parametrize(
        ("params", "inspector"),
        [
            ({"labels": ["SEVEN", "BOMB"]}, finding()),
            ({}, finding()),
            ({"min_score": 0.8}, finding(score=0.8)),
        ],
        ids=["a label of the rule", "any label", "the score itself"],
    )
    async def test_these_do_not(self, params: Mapping[str, Any], inspector: Any) -> None:
        with pytest.raises(Filtered):
            await shown(["It is 7777."], inspector=inspector, **params)

    async def test_findings_that_pass_are_not_noted(self) -> None:
        exchange = decided(chat_request())
        make = await making(exchange, finding(), labels=["BOMB"])
        await read(make(CONTENT), ["It is 7777."])
        assert exchange.findings == []


class TestJson:
    async def test_arguments_are_released_whole_and_stay_json(self) -> None:
        arguments = json.dumps({"to": '7777 "x"', "n": [1, {"7777": None}], "id": 777712})
        make = await making(decided(chat_request()), finding(), on_match="redact")
        told = await read(make(ARGUMENTS), list(arguments))
        assert set(told[:-1]) == {""}
        assert json.loads(told[-1]) == {
            "to": '[SEVEN] "x"', "n": [1, {"[SEVEN]": None}], "id": "[SEVEN]12",
        }  # fmt: skip

    async def test_arguments_that_break_no_rule_pass_byte_for_byte(self) -> None:
        arguments = '{ "a" :1.0, "b":"\\u00e9" }'
        assert await shown([arguments], ARGUMENTS, on_match="redact") == arguments

    async def test_escapes_hide_nothing(self) -> None:
        with pytest.raises(Filtered):
            await shown(['{"a": "\\u006eitro glycerine"}'], ARGUMENTS)

    @pytest.mark.parametrize(
        "arguments", ['{"a": "nitro glycerine', '{"a": "nitro glycerine", "a": ""}'],
        ids=["cut off", "a name twice"],
    )  # fmt: skip
    async def test_what_is_no_plain_json_is_screened_as_text(self, arguments: str) -> None:
        with pytest.raises(Filtered):
            await shown([arguments], ARGUMENTS)
        assert "[BOMB]" in await shown([arguments], ARGUMENTS, on_match="redact")

    async def test_names_that_redacting_would_make_one_stop_the_answer(self) -> None:
        """No value may be lost; a name that nobody else has is redacted like any text."""
        one = json.dumps({"to": {"7777": 1, "x": 2}})
        redacted = await shown([one], ARGUMENTS, on_match="redact")
        assert json.loads(redacted) == {"to": {"[SEVEN]": 1, "x": 2}}
        with pytest.raises(Filtered, match="would become the same") as broken:
            await shown([json.dumps({"to": {"7777": 1, "[SEVEN]": 2}})], ARGUMENTS,
                        on_match="redact")  # fmt: skip
        assert broken.value.code is Code.CONTENT_FILTER
        assert broken.value.shown == ""

    async def test_an_answer_in_json_is_treated_alike(self) -> None:
        exchange = decided(chat_request(response_format={"type": "json_object"}))
        make = await making(exchange, finding(), on_match="redact")
        [*first, last] = await read(make(CONTENT), ['{"a": "One. Tw', 'o. 7777"}'])
        assert first == ["", ""]
        assert json.loads(last) == {"a": "One. Two. [SEVEN]"}
        refusal = await read(make(Lane(0, "refusal")), ["One. Two"])
        assert refusal == ["One. ", "Two"]

    async def test_an_empty_call_is_an_empty_call(self) -> None:
        assert await shown([""], ARGUMENTS) == ""


@pytest.mark.parametrize("lane", [CONTENT, ARGUMENTS, FAILURE], ids=str)
@pytest.mark.parametrize("on_match", ["filter", "redact"])
async def test_text_that_cannot_be_inspected_is_not_shown(lane: Lane, on_match: str) -> None:
    exchange = decided(chat_request())
    inspector = finding(name="broken")
    inspector.failing = RuntimeError("secret text")
    rewriter = (await making(exchange, inspector, on_match=on_match))(lane)
    with pytest.raises(Filtered) as broken:
        await read(rewriter, ["Hello. "])
    assert broken.value.code is Code.INSPECTION_UNAVAILABLE
    assert "secret" not in broken.value.message
    assert exchange.unavailable == ["broken"]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"kinds": "word"},
        {"kinds": ["word", "unheard-of"]},
        {"kinds": ["word"], "on_match": "shout"},
        {"kinds": ["word"], "unit": "page"},
        {"kinds": ["word"], "min_score": "0.5"},
        {"kinds": ["word"], "threshold": 1},
    ],
    ids=str,
)
async def test_params_of_another_shape_are_refused(params: Mapping[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        await Screen({"word": finding()})(decided(chat_request()), params)
