"""Loading packs: what is filled in, and everything that is said about what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.packs import PackError, check_tables, load_pack, question_of, well_formed
from gateway.settings import baseline_pack
from tests.fakes.policy import FakePolicy, FixedPolicy

RULE = """\
id: pii.mask
title: Personal data
kind: pii
mode: enforce
params:
  direction: input
  labels: [EMAIL_ADDRESS]
on_match: mask
message: {en: Masked.}
"""
FILES = {
    "pack.yaml": "id: mine\nversion: 1.2.3\ntitle: Mine\npolicy_api: 1\n",
    "rules/pii.yaml": RULE,
}
Writer = Callable[..., Path]


@pytest.fixture
def pack(tmp_path: Path) -> Writer:
    """Writes a small pack, with some files other than they should be."""

    def write(**files: str | None) -> Path:
        named = {name.replace("__", "/") + ".yaml": text for name, text in files.items()}
        for name, text in {**FILES, **named}.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            if text is not None:
                path.write_text(text)
        return tmp_path

    return write


def problems(path: Path) -> list[str]:
    with pytest.raises(PackError) as error:
        load_pack(path)
    assert str(error.value) == "\n".join(map(str, error.value.problems))
    return [str(problem) for problem in error.value.problems]


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
    assert (
        "one.rule: params" in problems(pack(rules__pii=OF_KIND.format(kind=kind, params=params)))[0]
    )


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
    loaded = load_pack(
        pack(
            rules__words=RULE.replace("pii", "phrase")
            .replace("labels: [EMAIL_ADDRESS]", "list: rude")
            .replace("on_match: mask", "on_match: deny"),
            lists__rude="id: rude\ntitle: Rude\nphrases: {en: [oaf, lout], fr: [mufle, oaf]}",
        )
    )
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
    loaded = load_pack(baseline_pack())
    assert loaded.id == "baseline"
    assert "build a pipe bomb" in loaded.phrases["weapons"]
    assert any(phrase.startswith("fabriquer") for phrase in loaded.phrases["weapons"])
    assert loaded.tables
    assert loaded.instants == ()


def exception(**changes: Any) -> str:
    whole = {
        "id": "x",
        "rule": "pii.mask",
        "when": "{}",
        "until": '"2026-06-01T00:00:00Z"',
        "why": "y",
        "approved_by": "z",
        **changes,
    }
    return "- " + "\n  ".join(f"{name}: {value}" for name, value in whole.items())


BROKEN: dict[str, tuple[dict[str, str | None], str]] = {
    "no such key": (
        {"rules__pii": RULE + "colour: red\n"},
        "rules/pii.yaml:10: pii.mask: Additional properties are not allowed ('colour'",
    ),
    "a kind that does not exist": (
        {"rules__pii": RULE.replace("kind: pii", "kind: topic")},
        'rules/pii.yaml:3: pii.mask: kind: "topic" is not one of',
    ),
    "a parameter of another kind": (
        {"rules__pii": RULE.replace("  labels", "  seconds: 1\n  labels")},
        "rules/pii.yaml:7: pii.mask: params: Additional properties are not allowed ('seconds'",
    ),
    "a wrong type": (
        {"rules__pii": RULE.replace("[EMAIL_ADDRESS]", "EMAIL_ADDRESS")},
        'rules/pii.yaml:7: pii.mask: params.labels: "EMAIL_ADDRESS" is not of type "array"',
    ),
    "redacting the request": (
        {"rules__pii": RULE.replace("on_match: mask", "on_match: redact")},
        'rules/pii.yaml:8: pii.mask: on_match: "redact" is not one of',
    ),
    "no message": (
        {"rules__pii": RULE.replace("message: {en: Masked.}", "severity: low")},
        'rules/pii.yaml:1: pii.mask: "message" is a required property',
    ),
    "a score above one": (
        {"rules__pii": RULE.replace("  labels", "  min_score: 2\n  labels")},
        "rules/pii.yaml:7: pii.mask: params.min_score: 2 is greater than the maximum of 1",
    ),
    "three stars": (
        {"rules__pii": RULE + "when: {apps: ['a*b*c*d']}\n"},
        'rules/pii.yaml:10: pii.mask: when.apps.0: "a*b*c*d" does not match',
    ),
    "a floor that only observes": (
        {"rules__pii": RULE.replace("mode: enforce", "mode: observe\nfloor: true")},
        'rules/pii.yaml:4: pii.mask: mode: "enforce" was expected',
    ),
    "a date that is none": (
        {"rules__pii": RULE + "valid: {from: 2026-01-01}\n"},
        "rules/pii.yaml:10: pii.mask: valid.from:",
    ),
    "an end before the beginning": (
        {"rules__pii": RULE + "valid: {from: 2026-02-01T00:00:00Z, until: 2026-01-01T00:00:00Z}\n"},
        "rules/pii.yaml:10: pii.mask: it ends before it begins",
    ),
    "one id twice": (
        {"rules__more": RULE},
        "rules/pii.yaml:1: pii.mask: this id is there twice",
    ),
    "a name that the library keeps for itself": (
        {"rules__pii": RULE.replace("id: pii.mask", "id: default.model")},
        "rules/pii.yaml:1: default.model: id: ",
    ),
    "a list that is not there": (
        {
            "rules__pii": RULE.replace("kind: pii", "kind: phrase")
            .replace("labels: [EMAIL_ADDRESS]", "list: rude")
            .replace("on_match: mask", "on_match: deny")
        },
        "rules/pii.yaml:7: pii.mask: there is no list 'rude'",
    ),
    "an exception to nothing": (
        {"exceptions": exception(rule="no.such.rule")},
        "exceptions.yaml:2: x: there is no rule 'no.such.rule'",
    ),
    "an exception to a floor": (
        {"rules__pii": RULE + "floor: true\n", "exceptions": exception()},
        "exceptions.yaml:2: x: 'pii.mask' is a floor",
    ),
    "an exception twice": (
        {"exceptions": f"{exception()}\n{exception()}"},
        "exceptions.yaml:7: x: 'x' is there twice",
    ),
    "an exception for ever": (
        {"exceptions": exception(until="null")},
        'exceptions.yaml:4: x: 0.until: null is not of type "string"',
    ),
    "no YAML": (
        {"rules__pii": "id: [\n"},
        "rules/pii.yaml:2: ",
    ),
    "a key twice": (
        {"rules__pii": RULE + "id: again\n"},
        "rules/pii.yaml:10: 'id' is there twice",
    ),
    "an alias": (
        {
            "rules__pii": RULE.replace("[EMAIL_ADDRESS]", "&all [EMAIL_ADDRESS]")
            + "when: {tags: *all}\n"
        },
        "rules/pii.yaml:7: aliases are not taken in a pack",
    ),
    "a key that is no text": (
        {"rules__pii": "? [a]\n: b\n"},
        "rules/pii.yaml:1: a key must be text",
    ),
    "a tag": (
        {
            "rules__pii": RULE.replace(
                "mode: enforce", "mode: !!python/object/apply:os.system [true]"
            )
        },
        "rules/pii.yaml:4: pii.mask: mode:",
    ),
    "too deep": (
        {"rules__pii": "[" * 40 + "]" * 40},
        "rules/pii.yaml:1: maximum depth",
    ),
    "another document than one": (
        {"pack": FILES["pack.yaml"] + "---\n" + FILES["pack.yaml"]},
        "pack.yaml: holds one document",
    ),
    "another version of packs": (
        {"pack": FILES["pack.yaml"].replace("policy_api: 1", "policy_api: 2")},
        "pack.yaml:4: mine: policy_api: 1 was expected",
    ),
    "a test of something unknown": (
        {"tests__t": "suite: s\ncases: [{name: n, given: {text: hello}, expect: {effect: deny}}]"},
        "tests/t.yaml:2: cases.0.given: Additional properties are not allowed ('text'",
    ),
}


@pytest.mark.parametrize(("files", "said"), BROKEN.values(), ids=BROKEN)
def test_what_is_wrong_is_said_with_its_place(
    pack: Writer, files: dict[str, str | None], said: str
) -> None:
    found = problems(pack(**files))
    assert any(problem.startswith(said) for problem in found), found


def test_everything_that_is_wrong_is_said_at_once(pack: Writer) -> None:
    found = problems(
        pack(rules__pii="id: [", rules__more=RULE + "x: 1\n", exceptions="5", pack="id: mine\n")
    )
    files = {problem.partition(":")[0] for problem in found}
    assert files == {"rules/pii.yaml", "rules/more.yaml", "exceptions.yaml", "pack.yaml"}


def test_a_directory_that_is_no_pack_is_said_so(tmp_path: Path) -> None:
    assert problems(tmp_path / "nowhere")[0].startswith("pack.yaml: cannot be read")


def test_bytes_that_are_no_text_are_said_so(pack: Writer) -> None:
    root = pack()
    (root / "rules" / "pii.yaml").write_bytes(b"id: \xff\xfe")
    assert problems(root)[0].startswith("rules/pii.yaml: cannot be read")


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
    loaded = load_pack(baseline_pack())
    rules = {kind: rules for kind, rules in loaded.data["rules"].items() if kind != "phrase"}
    cases = await check_tables(loaded.tables, FakePolicy({**loaded.data, "rules": rules}, "x"))
    assert any(case.failures for case in cases)


def test_a_question_of_a_table_is_well_formed() -> None:
    known = well_formed()
    for given in ({}, {"tool_call": "search"}, {"review": "approved", "findings": []}):
        assert known(question_of(given))
