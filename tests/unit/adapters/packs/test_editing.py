"""Edits: made as they were asked for, and nothing else of a file is touched."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.adapters.packs import (
    AddCase,
    AddException,
    AddList,
    AddPhrase,
    AddRule,
    Change,
    EditError,
    PackError,
    RemoveCase,
    RemoveException,
    RemovePhrase,
    RemoveRule,
    RemoveValue,
    SetValue,
    edit,
    load_pack,
    read_folder,
)
from gateway.adapters.packs.documents import parse
from gateway.adapters.packs.writing import can_be_plain
from gateway.core.policies import PackFiles
from gateway.settings import baseline_pack
from tests.unit.adapters.packs.samples import FILES, RULE, exception, files, rule
from tests.unit.adapters.packs.written_packs import written_packs

BASELINE = read_folder(baseline_pack())
SOME = settings(max_examples=settings().max_examples // 4, deadline=None)
PACKS = st.one_of(
    st.sampled_from(
        [
            {name: text for name, text in BASELINE.items() if name in (*kept, "pack.yaml")}
            for kept in (
                ("rules/personal_data.yaml", "tests/opaque.yaml", "lists/weapons.yaml"),
                ("rules/inspection.yaml", "tests/access.yaml", "lists/weapons.yaml"),
                ("rules/phrases.yaml", "tests/refusals.yaml", "lists/weapons.yaml"),
            )
        ]
    ),
    written_packs(),
)
"""The shipped pack, in parts that are quick to read, and packs written in many ways."""
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
NAMES = st.lists(st.text("ABC_ ,:#'\"é*", min_size=1, max_size=6), min_size=1, max_size=4)
EXCEPTION = {
    "id": "courier.phones",
    "rule": "pii.mask",
    "when": {"apps": ["shop-bot"]},
    "until": "2027-01-31T00:00:00Z",
    "why": "The courier needs the number: see ticket #112.",
    "approved_by": "privacy-office@example.org",
}
CASE = {
    "name": "a case: with a colon",
    "given": {"findings": [{"kind": "pii", "label": "EMAIL_ADDRESS", "score": 0.98}]},
    "expect": {"effect": "allow", "rules": ["pii.mask"]},
}


def values(files: PackFiles) -> dict[str, list[Any]]:
    """What every YAML file holds."""
    return {
        name: [document.value for document in parse(text, name)]
        for name, text in files.items()
        if name.endswith(".yaml")
    }


def changed_lines(before: str, after: str) -> tuple[list[int], list[int]]:
    """The lines of each, from 0, that the other does not have."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    lost: list[int] = []
    gained: list[int] = []
    steps = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    for tag, start, end, first, last in steps:
        if tag != "equal":
            lost += range(start, end)
            gained += range(first, last)
    return lost, gained


def at(value: Any, path: Sequence[str | int]) -> Any:
    for part in path:
        value = value[part]
    return value


SCALARS = [("title",), ("why",), ("mode",), ("params", "direction"), ("message", "en")]


@SOME
@given(
    pack=PACKS,
    data=st.data(),
    new=st.one_of(TEXTS, st.integers(-(2**53), 2**53), st.booleans(), st.none(), st.floats(0, 1)),
)
def test_a_value_is_set_and_set_back(pack: PackFiles, data: st.DataObject, new: Any) -> None:
    rules = load_pack(pack).rules
    id = data.draw(st.sampled_from(sorted(rules)))
    there = [path for path in SCALARS if path[-1] in at(rules[id], path[:-1])]
    path = data.draw(st.sampled_from(there))
    edited = edit(pack, [SetValue(id, path, new)])
    [name] = [name for name in pack if edited[name] != pack[name]] or [None]
    if name is None:
        assert at(rules[id], path) == new
        return
    lost, gained = changed_lines(pack[name], edited[name])
    assert len(lost) == len(gained) == 1
    found = next(r for r in values(edited)[name] if r["id"] == id)
    assert at(found, path) == new
    assert type(at(found, path)) is type(new)
    if isinstance(new, str) and can_be_plain(new, flow=True):  # else quotes are not a choice
        assert edit(edited, [SetValue(id, path, at(rules[id], path))]) == pack


@SOME
@given(pack=PACKS, data=st.data(), names=NAMES)
def test_a_field_is_added_and_removed(
    pack: PackFiles, data: st.DataObject, names: list[str]
) -> None:
    rules = load_pack(pack).rules
    id = data.draw(st.sampled_from(sorted(rules)))
    field, value = data.draw(
        st.sampled_from(
            [
                (("owner",), names[0]),
                (("code",), "a_code"),
                (("when", "apps"), names),
                (("when", "regions"), names),
                (("valid", "until"), "2027-01-31T00:00:00Z"),
                (("message", "de"), names[0]),
            ]
        )
    )
    assume(field[0] not in rules[id] or (len(field) > 1 and field[1] not in rules[id][field[0]]))
    edited = edit(pack, [SetValue(id, field, value)])
    [name] = [name for name in pack if edited[name] != pack[name]]
    assert at(next(r for r in values(edited)[name] if r["id"] == id), field) == value
    assert edit(edited, [RemoveValue(id, field)]) == pack


@SOME
@given(pack=PACKS, data=st.data(), more=NAMES)
def test_a_list_grows_and_shrinks_again(
    pack: PackFiles, data: st.DataObject, more: list[str]
) -> None:
    rules = load_pack(pack).rules
    id = data.draw(
        st.sampled_from(sorted(i for i in rules if "labels" in rules[i]["params"]) or [""])
    )
    assume(id)
    path, old = ("params", "labels"), rules[id]["params"]["labels"]
    assume(not set(more) & set(old))
    cut = data.draw(st.integers(0, len(old)))
    new = [*old[:cut], *more, *old[cut:]]
    edited = edit(pack, [SetValue(id, path, new)])
    [name] = [name for name in pack if edited[name] != pack[name]]
    found = next(r for r in values(edited)[name] if r["id"] == id)
    assert found["params"]["labels"] == new
    assert edit(edited, [SetValue(id, path, old)]) == pack


@SOME
@given(pack=PACKS, text=TEXTS)
def test_what_is_added_is_removed_without_a_trace(pack: PackFiles, text: str) -> None:
    new = rule("cache", id="new.rule", why=text, params={"seconds": 60})
    name = next(name for name in sorted(pack) if name.startswith("rules/"))
    suite = values(pack)[next(name for name in sorted(pack) if name.startswith("tests/"))][0]
    pairs: list[tuple[Change, Change]] = [
        (AddRule(name, new), RemoveRule("new.rule")),
        (AddRule("rules/new.yaml", new), RemoveRule("new.rule")),
        (AddException({**EXCEPTION, "why": text}), RemoveException("courier.phones")),
        (
            AddCase(suite["suite"], {**CASE, "name": f"new {text}"}),
            RemoveCase(suite["suite"], f"new {text}"),
        ),
    ]
    for add, remove in pairs:
        edited = edit(pack, [add])
        assert edited != pack
        empty = {} if "exceptions.yaml" in pack else {"exceptions.yaml": "[]\n"}
        left = empty if isinstance(add, AddException) else {}
        assert edit(edited, [remove]) == {**pack, **left}


@SOME
@given(pack=PACKS, data=st.data(), phrase=TEXTS)
def test_a_phrase_is_added_and_removed(pack: PackFiles, data: st.DataObject, phrase: str) -> None:
    lists = [value for name, some in values(pack).items() if "lists/" in name for value in some]
    entry = data.draw(st.sampled_from(lists))
    language = data.draw(st.sampled_from([*entry["phrases"], "de"]))
    phrases = entry["phrases"].get(language, [])
    assume(phrase and phrase not in phrases)
    edited = edit(pack, [AddPhrase(entry["id"], language, phrase)])
    [name] = [name for name in pack if edited[name] != pack[name]]
    lost, gained = changed_lines(pack[name], edited[name])
    assert len(lost) <= 1
    assert len(gained) <= 2
    found = next(value for value in values(edited)[name] if value["id"] == entry["id"])
    assert found["phrases"][language] == [*phrases, phrase]
    assert edit(edited, [RemovePhrase(entry["id"], language, phrase)]) == pack


@SOME
@given(pack=PACKS, data=st.data())
def test_a_removed_rule_takes_its_own_lines_alone(pack: PackFiles, data: st.DataObject) -> None:
    rules = load_pack(pack).rules
    id = data.draw(st.sampled_from(sorted(rules)))
    edited = edit(pack, [RemoveRule(id)])
    kept = {name: [v for v in some if v.get("id") != id] if "rules/" in name else some
            for name, some in values(pack).items()}  # fmt: skip
    assert values(edited) == {name: some for name, some in kept.items() if some or name in edited}
    for name, text in edited.items():
        lost, gained = changed_lines(pack[name], text)
        assert not gained or not pack[name].endswith("\n")
        assert lost == list(range(lost[0], lost[-1] + 1)) if lost else True


@SOME
@given(
    pack=written_packs(),
    data=st.data(),
    value=st.recursive(
        st.one_of(TEXTS, st.integers(0, 9), st.none()),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)
        ),
        max_leaves=8,
    ),
)
def test_an_edit_is_made_as_asked_or_not_at_all(
    pack: PackFiles, data: st.DataObject, value: Any
) -> None:
    """Whatever is put wherever: other files, other rules and other fields stay what they were."""
    rules = load_pack(pack).rules
    id = data.draw(st.sampled_from(sorted(rules)))
    path = data.draw(
        st.sampled_from(
            [("params",), ("params", "labels"), ("params", "labels", 0), ("message",),
             ("when",), ("title",), ("new",), ("when", "apps", "deep"), ("params", "labels", 9)]
        )
    )  # fmt: skip
    try:
        edited = edit(pack, [SetValue(id, path, value)])
    except EditError:
        return
    for name, some in values(edited).items():
        for new, old in zip(some, values(pack)[name], strict=True):
            if "rules/" not in name or old["id"] != id:
                assert new == old
            else:
                assert {k: v for k, v in new.items() if k != path[0]} == {
                    k: v for k, v in old.items() if k != path[0]
                }


COMMENTED = """\
# Owned by the privacy office.

id: pii.mask   # never change
title:  "Personal data"
kind: pii
mode: enforce
params:
  direction: input
  # Ask before you add one.
  labels:
    - EMAIL_ADDRESS   # since 2025
    - "PHONE_NUMBER"
  min_score:   0.5

on_match: mask
message:
  en: >-
    Personal data
    was replaced.
# The end of the first.
---
id: second
title: Second
kind: cache
mode: 'off'
params: { seconds: 60 }
message: {en: So.}
"""


def test_comments_quotes_and_blanks_stay() -> None:
    edited = edit(
        files(rules__pii=COMMENTED),
        [
            SetValue("pii.mask", ("title",), "Names"),
            SetValue("pii.mask", ("params", "min_score"), 0.75),
            SetValue("pii.mask", ("params", "labels"), ["EMAIL_ADDRESS", "IBAN_CODE", "US_SSN"]),
            SetValue("pii.mask", ("severity",), "high"),
            SetValue("pii.mask", ("when", "teams"), ["support"]),
            SetValue("second", ("mode",), "observe"),
            SetValue("second", ("params", "seconds"), 120),
            RemoveValue("second", ("message", "en")),
        ],
    )
    assert (
        edited["rules/pii.yaml"]
        == """\
# Owned by the privacy office.

id: pii.mask   # never change
title:  "Names"
kind: pii
mode: enforce
when: {teams: [support]}
params:
  direction: input
  # Ask before you add one.
  labels:
    - EMAIL_ADDRESS   # since 2025
    - "IBAN_CODE"
    - US_SSN
  min_score:   0.75

on_match: mask
severity: high
message:
  en: >-
    Personal data
    was replaced.
# The end of the first.
---
id: second
title: Second
kind: cache
mode: observe
params: { seconds: 120 }
"""
    )


def test_new_things_are_written_as_people_write_them() -> None:
    edited = edit(
        FILES,
        [
            AddRule("rules/pii.yaml", rule("cache", id="new", params={"seconds": 60})),
            AddList("rude", "Rude words", {"en": ["oaf", "no"], "fr": ["mufle"]}),
            AddPhrase("rude", "en", "lout: a"),
            AddException(EXCEPTION),
            AddCase("personal data", CASE),
            AddCase("Other Things", CASE),
        ],
    )
    assert (
        edited["rules/pii.yaml"]
        == RULE
        + """\
---
id: new
title: A rule
kind: cache
mode: enforce
message: {en: So.}
params: {seconds: 60}
"""
    )
    assert (
        edited["lists/rude.yaml"]
        == """\
id: rude
title: Rude words
phrases:
  en:
    - oaf
    - "no"
    - "lout: a"
  fr:
    - mufle
"""
    )
    assert (
        edited["exceptions.yaml"]
        == """\
- id: courier.phones
  rule: pii.mask
  when: {apps: [shop-bot]}
  until: "2027-01-31T00:00:00Z"
  why: "The courier needs the number: see ticket #112."
  approved_by: privacy-office@example.org
"""
    )
    written = """\
  - name: "a case: with a colon"
    given:
      findings: [{kind: pii, label: EMAIL_ADDRESS, score: 0.98}]
    expect: {effect: allow, rules: [pii.mask]}
"""
    assert edited["tests/pii.yaml"] == FILES["tests/pii.yaml"] + written
    assert edited["tests/other_things.yaml"] == f"suite: Other Things\ncases:\n{written}"


def test_a_list_in_a_text_file_is_edited_by_lines() -> None:
    pack = {**FILES, "lists/rude.en.txt": "# Rude words\r\noaf\r\n"}
    edited = edit(pack, [AddPhrase("rude", "en", "lout")])
    assert edited["lists/rude.en.txt"] == "# Rude words\r\noaf\r\nlout\r\n"
    assert edit(edited, [RemovePhrase("rude", "en", "lout")]) == pack
    for phrase in ("oaf", "# no", "two\nlines", " "):
        with pytest.raises(EditError):
            edit(pack, [AddPhrase("rude", "en", phrase)])
    with pytest.raises(EditError):
        edit(pack, [RemovePhrase("rude", "en", "lout")])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (SetValue("pii.maks", ("mode",), "off"), "no rule 'pii.maks'; did you mean \"pii.mask\"?"),
        (SetValue("pii.mask", (), {}), "which field"),
        (RemoveValue("pii.mask", ()), "which field"),
        (RemoveValue("pii.mask", ("when",)), "nothing at when"),
        (RemoveValue("pii.mask", ("params", "labels", 4)), "nothing at params.labels[4]"),
        (SetValue("pii.mask", ("title", "en"), "x"), "no place for 'en' at title"),
        (SetValue("pii.mask", ("title",), "\ud800"), "half of a character"),
        (SetValue("pii.mask", ("title",), 2**80), "nothing that a pack can hold"),
        (SetValue("pii.mask", ("title",), float("nan")), "changed by hand"),
        (AddRule("rules/x.yml", rule("cache")), "in a file of rules/"),
        (AddRule("tests/x.yaml", rule("cache")), "in a file of rules/"),
        (AddRule("rules/x.yaml", {"id": "pii.mask"}), "there is a rule 'pii.mask' already"),
        (RemoveRule("nothing"), "there is no rule 'nothing'"),
        (AddList("rude", "Rude", {"en": ["x"]}), "there is a list 'rude' already"),
        (AddPhrase("rudr", "en", "x"), "there is no list 'rudr'"),
        (AddPhrase("rude", "en", "oaf"), "'rude' has 'oaf' already"),
        (RemovePhrase("rude", "en", "x"), "'rude' has no 'x' in 'en'"),
        (AddException({"id": "x"}), "there is an exception 'x' already"),
        (RemoveException("y"), "there is no exception 'y'"),
        (AddCase("personal data", {"name": "an address is masked"}), "of this name already"),
        (RemoveCase("personal data", "x"), "there is no case 'x'"),
        (RemoveCase("x", "x"), "there is no suite 'x'"),
        (RemoveCase("personal data", "an address is masked"), "the last case"),
    ],
)
def test_what_cannot_be_done_is_said(change: Change, said: str) -> None:
    pack = files(exceptions=exception(), lists__rude="id: rude\ntitle: R\nphrases: {en: [oaf]}\n")
    with pytest.raises(EditError) as error:
        edit(pack, [change])
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("pack", "change"),
    [
        (files(lists__rude="id: rude\n"), AddPhrase("rude", "en", "x")),
        (files(tests__pii="suite: s\ncases: 5\n"), RemoveCase("s", "x")),
        (files(exceptions="5\n"), AddException({"id": "x"})),
        (files(exceptions="[5]\n"), RemoveException("x")),
        (files(exceptions=""), RemoveException("x")),
    ],
)
def test_what_is_broken_otherwise_is_left(pack: PackFiles, change: Change) -> None:
    with pytest.raises(EditError, match="check the pack first"):
        edit(pack, [change])


def test_a_file_that_is_no_yaml_is_said_so() -> None:
    with pytest.raises(PackError):
        edit(files(rules__pii="id: [\n"), [SetValue("pii.mask", ("mode",), "off")])


def test_every_edit_of_several_is_made_or_none(tmp_path: Path) -> None:
    pack = dict(FILES)
    with pytest.raises(EditError):
        edit(pack, [SetValue("pii.mask", ("mode",), "off"), RemoveRule("nothing")])
    assert pack == FILES
