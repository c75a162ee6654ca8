"""The parts that questions share have the shape that the policy knows."""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.adapters.packs import question_of, well_formed
from gateway.core.findings import Direction, Finding
from gateway.core.ports import Model
from gateway.core.questions import facts_found, resource_of, stamp, words_of


def test_they_fit_a_question() -> None:
    question = dict(question_of({}))
    model = Model("m", "openai", "gpt", hosting="external", region="eu", tags=("fast",))
    found = Finding("pii", "EMAIL_ADDRESS", "/a", 3, 9, 0.5, Direction.OUTPUT)
    question["resource"] = resource_of(model)
    question["context"] = {
        **question["context"],
        "findings": facts_found([found]),
        "time": stamp(datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)),
    }
    assert well_formed()(question)
    assert question["context"]["time"] == "2026-01-02T03:04:05Z"
    assert question["resource"]["properties"]["tags"] == ["fast"]
    assert question["context"]["findings"] == [
        {"kind": "pii", "label": "EMAIL_ADDRESS", "where": "/a", "direction": "output",
         "score": 0.5}
    ]  # fmt: skip


def test_words_are_english_where_there_are_some() -> None:
    assert words_of({"fr": "non", "en": "no"}, "x") == "no"
    assert words_of({"fr": "non"}, "x") == "non"
    assert words_of({}, "x") == "x"
