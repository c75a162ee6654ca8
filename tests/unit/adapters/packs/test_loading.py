"""Loading packs: what is filled in, and everything that is said about what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.adapters.packs import (
    PackError,
    check_tables,
    load_pack,
    question_of,
    read_folder,
    well_formed,
)
from gateway.settings import baseline_pack
from tests.fakes.policy import FakePolicy, FixedPolicy
from tests.unit.adapters.packs.samples import RULE, files

Writer = Callable[..., dict[str, str]]


@pytest.fixture
def pack() -> Writer:
    """A small pack, with some files other than they should be."""
    return files


def problems(pack: dict[str, str]) -> list[str]:
    with pytest.raises(PackError) as error:
        load_pack(pack)
    assert str(error.value) == "\n".join(map(str, error.value.problems))
    return [f"{problem} {problem.where}" for problem in error.value.problems]


def test_a_rule_is_filled_in(pack: Writer) -> None:
    loaded = load_pack(pack())
    assert (loaded.id, loaded.version) == ("mine", "1.2.3")
    assert loaded.data["rules"] == {
        "pii": {
            "pii.mask": {
                "kind": "pii",
                "mode": "enforce",
                "floor": False,
                "from": None,
                "until": None,
                "when": {},
                "attached": None,
                "params": {
                    "direction": "input",
                    "labels": ["EMAIL_ADDRESS"],
                    "min_score": 0.5,
                    "unit": "sentence",
                },
                "on_match": "mask",
                "on_error": None,
                "code": "personal_data",
                "severity": "medium",
                "message": {"en": "Masked."},
            }
        }
    }
    assert loaded.data["revision"] == loaded.revision


OF_KIND = """\
id: one.rule
title: A rule
kind: {kind}
mode: enforce
params: {params}
message: {{en: So.}}
"""


@pytest.mark.parametrize(
    ("kind", "params", "filled"),
    [
        ("response", "{how: error}", {"how": "error", "message": None}),
        ("response", "{how: message, message: No.}", {"how": "message", "message": "No."}),
        (
            "residency",
            "{tags: [eu]}",
            {"labels": None, "min_score": 0.5, "hosting": None, "region": None,
             "providers": None, "tags": ["eu"]},
        ),
    ],
)  # fmt: skip
def test_what_a_rule_leaves_out_is_null(
    kind: str, params: str, filled: dict[str, Any], pack: Writer
) -> None:
    loaded = load_pack(pack(rules__pii=OF_KIND.format(kind=kind, params=params)))
    assert loaded.data["rules"][kind]["one.rule"]["params"] == filled


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("response", "{}"),
        ("response", "{how: shout}"),
        ("response", "{how: content_filter, message: A filter says nothing.}"),
        ("response", "{how: error, message: No.}"),
        ("response", "{how: message, message: ''}"),
        ("residency", "{labels: [EMAIL_ADDRESS]}"),
        ("residency", "{region: []}"),
        ("residency", "{hosting: null}"),
    ],
)
def test_a_rule_that_says_nothing_or_too_much_is_none(kind: str, params: str, pack: Writer) -> None:
    [said] = problems(pack(rules__pii=OF_KIND.format(kind=kind, params=params), tests__pii=None))
    assert "one.rule: " in said
    assert " params" in said


IDENTIFIER = """\
id: one.rule
title: A rule
kind: identifier
mode: enforce
message: {{en: Yes.}}
{more}
"""


def test_a_rule_on_identifiers_says_what_becomes_of_them(pack: Writer) -> None:
    loaded = load_pack(pack(rules__one=IDENTIFIER.format(more="on_match: pseudonymise")))
    rule = loaded.data["rules"]["identifier"]["one.rule"]
    assert (rule["on_match"], rule["params"]) == ("pseudonymise", {})
    assert loaded.reads == load_pack(pack()).reads, "whatever the question says"


@pytest.mark.parametrize(
    "more", ["", "on_match: mask", "on_match: pseudonymise\nparams: {length: 8}"]
)
def test_one_that_says_something_else_is_none(more: str, pack: Writer) -> None:
    assert problems(pack(rules__one=IDENTIFIER.format(more=more)))


def test_a_list_gives_its_phrases_and_its_id_is_the_label(pack: Writer) -> None:
    words = (
        RULE.replace("pii", "phrase")
        .replace("labels: [EMAIL_ADDRESS]", "list: rude")
        .replace("on_match: mask", "on_match: deny")
    )
    rude = "id: rude\ntitle: Rude\nphrases: {en: [oaf, lout], fr: [mufle, oaf]}"
    loaded = load_pack(pack(rules__words=words, lists__rude=rude))
    assert loaded.phrases == {"rude": ("oaf", "lout", "mufle")}
    params = loaded.data["rules"]["phrase"]["phrase.mask"]["params"]
    assert params["labels"] == ["rude"]
    assert params["min_score"] == 0


def test_a_rule_that_is_off_reaches_no_engine_and_reads_nothing(pack: Writer) -> None:
    off = RULE.replace("mode: enforce", "mode: off\nvalid: {from: '2026-01-01T00:00:00Z'}")
    loaded = load_pack(pack(rules__pii=off))
    assert loaded.data["rules"] == {}
    assert loaded.instants == ()
    assert not any("findings" in fact for fact in loaded.reads)


def test_dates_are_instants(pack: Writer) -> None:
    valid = "valid: {from: 2026-01-01T00:00:00Z, until: 2027-01-01T00:00:00Z}\n"
    exceptions = """\
- id: a-while
  rule: pii.mask
  when: {teams: [support]}
  until: "2026-06-01T00:00:00Z"
  why: Because.
  approved_by: Ann
"""
    loaded = load_pack(pack(rules__pii=RULE + valid, exceptions=exceptions))
    assert loaded.instants == ("2026-01-01T00:00:00", "2026-06-01T00:00:00", "2027-01-01T00:00:00")
    assert loaded.data["exceptions"] == {
        "pii.mask": {"a-while": {"until": "2026-06-01T00:00:00", "when": {"teams": ["support"]}}}
    }
    assert "subject.properties.team" in loaded.reads


def test_the_revision_follows_what_is_decided_and_nothing_else(pack: Writer) -> None:
    first = load_pack(pack()).revision
    assert first.startswith("sha256:")
    assert load_pack(pack(rules__pii=f"# a remark\n{RULE}owner: Ann\n")).revision == first
    assert load_pack(pack(rules__pii=RULE.replace("EMAIL", "MAIL"))).revision != first
    words = "id: rude\ntitle: Rude\nphrases: {en: [oaf]}"
    second = load_pack(pack(rules__pii=RULE, lists__rude=words)).revision
    assert second != first
    assert load_pack(pack(lists__rude=words.replace("oaf", "lout"))).revision != second


def test_the_shipped_pack_is_sound() -> None:
    loaded = load_pack(read_folder(baseline_pack()))
    assert loaded.id == "baseline"
    assert "build a pipe bomb" in loaded.phrases["weapons"]
    assert any(phrase.startswith("fabriquer") for phrase in loaded.phrases["weapons"])
    assert loaded.tables
    assert loaded.instants == ()


async def test_a_table_says_what_differs() -> None:
    table = {
        "suite": "s",
        "cases": [
            {
                "name": "n",
                "given": {},
                "expect": {
                    "effect": "deny",
                    "rules": ["a"],
                    "codes": [],
                    "obligations": [],
                    "masked": ["X"],
                    "labelled": [],
                    "observed": [],
                    "overridden": [],
                },
            }
        ],
    }
    answer = {"effect": "allow", "reasons": [], "obligations": [], "observed": [], "overridden": []}
    [case] = await check_tables([table], FixedPolicy(answer))
    assert (case.suite, case.name) == ("s", "n")
    assert case.failures == (
        "effect: expected deny, got allow",
        "rules: expected ['a'], got []",
        "masked: expected ['X'], got []",
    )


async def test_the_shipped_tables_fail_where_the_pack_is_spoilt() -> None:
    loaded = load_pack(read_folder(baseline_pack()))
    rules = {kind: rules for kind, rules in loaded.data["rules"].items() if kind != "phrase"}
    cases = await check_tables(loaded.tables, FakePolicy({**loaded.data, "rules": rules}, "x"))
    assert any(case.failures for case in cases)


def test_a_question_of_a_table_is_well_formed() -> None:
    known = well_formed()
    for given in ({}, {"tool_call": "search"}, {"review": "approved", "findings": []}):
        assert known(question_of(given))


ATTACHMENTS = """\
- rules: [pii.*, other]
  when: {teams: [support]}
- rules: [pii.mask]
  when: {regions: [eu]}
"""


def test_attachments_say_where_rules_apply(pack: Writer) -> None:
    more = "---\n".join([RULE, RULE.replace("pii.mask", "other"), RULE.replace("pii.mask", "none")])
    loaded = load_pack(pack(rules__pii=more, attachments=ATTACHMENTS))
    rules = loaded.data["rules"]["pii"]
    assert rules["pii.mask"]["attached"] == [{"teams": ["support"]}, {"regions": ["eu"]}]
    assert rules["other"]["attached"] == [{"teams": ["support"]}]
    assert rules["none"]["attached"] == []
    assert {"subject.properties.team", "resource.properties.region"} <= loaded.reads
    plain = load_pack(pack(rules__pii=more))
    assert {rule["attached"] for rule in plain.data["rules"]["pii"].values()} == {None}
    assert "subject.properties.team" not in plain.reads
    assert loaded.revision != plain.revision


def test_an_attachment_without_rules_is_of_all(pack: Writer) -> None:
    loaded = load_pack(pack(attachments="- when: {apps: [shop-*]}\n"))
    assert loaded.data["rules"]["pii"]["pii.mask"]["attached"] == [{"apps": ["shop-*"]}]


def test_a_list_may_go_on_in_a_text_file(pack: Writer) -> None:
    rude = "id: rude\ntitle: Rude\nphrases: {en: [oaf]}\n"
    lines = "# More of them\r\n\r\n lout \r\noaf\r\n"
    loaded = load_pack(
        {**pack(lists__rude=rude), "lists/rude.en.txt": lines, "lists/own.fr.txt": "mufle"}
    )
    assert loaded.phrases == {"rude": ("lout", "oaf"), "own": ("mufle",)}
