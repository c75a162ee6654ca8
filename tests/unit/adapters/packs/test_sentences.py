"""Rules in plain words: every kind, in every language, and the pack that is shipped."""

from __future__ import annotations

import json
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from gateway.adapters.packs import load_pack, read_folder, sentence, sentences
from gateway.adapters.packs.schema import kinds
from gateway.adapters.packs.sentences import LOCALES, Locale
from gateway.settings import baseline_pack
from tests.unit.adapters.packs.samples import OF_EVERY_KIND, RULE, exception, files

SNAPSHOTS = Path(__file__).parent / "sentences"


def everything(locale: Locale) -> dict[str, str]:
    """What is said of a rule of every kind, and of the shipped pack."""
    said = {shows: sentence(rule, locale) for shows, rule in OF_EVERY_KIND.items()}
    baseline = sentences(load_pack(read_folder(baseline_pack())), locale)
    return {**said, **{f"baseline: {id}": text for id, text in baseline.items()}}


@pytest.mark.parametrize("locale", ["en", "fr"])
def test_sentences_are_as_they_were_read(locale: Locale) -> None:
    """After a change, read what `python -m tests.unit.adapters.packs.test_sentences` writes."""
    assert json.loads((SNAPSHOTS / f"{locale}.json").read_text()) == everything(locale)


def test_every_kind_of_rule_is_shown() -> None:
    assert {rule["kind"] for rule in OF_EVERY_KIND.values()} == set(kinds())


def test_the_languages_say_the_same_things() -> None:
    en, fr = LOCALES["en"], LOCALES["fr"]
    assert set(en) == set(fr)
    for key in en:
        parts = [{name for _, name, _, _ in Formatter().parse(w[key]) if name} for w in (en, fr)]
        assert parts[0] == parts[1], key


def test_attachments_and_exceptions_are_said() -> None:
    pack = load_pack(
        files(
            rules__pii=f"{RULE}---\n{RULE.replace('pii.mask', 'other')}",
            attachments="- {rules: [pii.*], when: {apps: [a], teams: [b, c]}}\n"
            "- {rules: [pii.mask], when: {}}\n",
            exceptions=exception(when="{tags: [trial]}", why="A trial"),
        )
    )
    assert sentences(pack, "en") == {
        "pii.mask": "When EMAIL_ADDRESS is found in a request (with a certainty of 0.5 or more), "
        "replace it before the model reads it. "
        "Applies to apps a, and of these only teams b or c; or to everyone.",
        "other": "When EMAIL_ADDRESS is found in a request (with a certainty of 0.5 or more), "
        "replace it before the model reads it. Applies nowhere: no attachment names it.",
        "exception:x": "Except apps tagged trial from the rule pii.mask, until 2099-06-01: "
        "A trial. Approved by z.",
    }


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "observe"}, {"floor": True}, {"when": {"apps": ["a"]}}, {"on_match": "deny"},
        {"valid": {"until": "2027-01-01T00:00:00Z"}}, {"params": {"direction": "input",
         "labels": ["B"], "min_score": 0.5}}, {"params": {"direction": "input", "labels": ["A"],
         "min_score": 0.6}},
    ],
)  # fmt: skip
def test_what_changes_the_rule_changes_its_sentence(change: dict[str, Any]) -> None:
    rule = OF_EVERY_KIND["pii, refused"] | {
        "floor": False, "on_match": "mask", "params": {"direction": "input", "labels": ["A"]},
    }  # fmt: skip
    assert sentence(rule | change, "en") != sentence(rule, "en")
    assert sentence(rule | change, "fr") != sentence(rule, "fr")


def test_a_language_that_is_not_there_is_said_so() -> None:
    with pytest.raises(ValueError, match="no sentences in 'de'"):
        sentence(OF_EVERY_KIND["cache"], "de")  # type: ignore[arg-type]


if __name__ == "__main__":
    for name in ("en", "fr"):
        text = json.dumps(everything(name), indent=1, ensure_ascii=False)  # type: ignore[arg-type]
        (SNAPSHOTS / f"{name}.json").write_text(f"{text}\n")
