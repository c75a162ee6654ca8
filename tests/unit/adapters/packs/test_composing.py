"""Several packs in force at once: what they say together, and what two of them must not share."""

from __future__ import annotations

import pytest

from gateway.adapters.packs import PackError, compose, load_pack, read_folder
from gateway.settings import baseline_pack
from tests.unit.adapters.packs.samples import FILES, RULE, exception, files

BASELINE = load_pack(read_folder(baseline_pack()))
LIST = "id: rude\ntitle: Rude\nphrases: {en: [oaf]}\n"
PHRASES = RULE.replace("pii", "phrase").replace("labels: [EMAIL_ADDRESS]", "list: rude").replace(
    "on_match: mask", "on_match: deny"
)  # fmt: skip
MINE = load_pack(
    files(
        rules__words=f"{PHRASES}when: {{teams: [support]}}\n"
        "valid: {until: 2098-01-01T00:00:00Z}\n",
        lists__rude=LIST,
        exceptions=exception(),
        tests__pii=None,
    )
)


def test_one_pack_alone_is_what_it_is() -> None:
    for pack in (BASELINE, MINE):
        rules = compose([pack])
        assert (rules.revision, dict(rules.data)) == (pack.revision, dict(pack.data))
        assert (rules.phrases, rules.reads) == (pack.phrases, pack.reads)
        assert rules.instants == pack.instants
        assert rules.packs[pack.id].version == pack.version
        assert rules.packs[pack.id].digest == pack.digest


def test_several_say_everything_that_each_says() -> None:
    rules = compose([MINE, BASELINE])
    assert rules == compose([BASELINE, MINE]), "their order does not matter"
    assert list(rules.packs) == ["baseline", "mine"]
    assert set(rules.data["rules"]["pii"]) == {"pii.contact.mask", "pii.answer.redact", "pii.mask"}
    assert set(rules.data["rules"]["phrase"]) == {
        "phrases.weapons.deny", "phrases.weapons.filter", "phrase.mask",
    }  # fmt: skip
    assert set(rules.data["exceptions"]) == {"pii.mask"}
    assert set(rules.phrases) == {"weapons", "rude"}
    assert rules.reads == BASELINE.reads | MINE.reads
    assert rules.instants == ("2098-01-01T00:00:00", "2099-06-01T00:00:00")
    assert rules.revision not in (BASELINE.revision, MINE.revision)
    assert rules.data["revision"] == rules.revision


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (files(pack=None), "both have a rule 'pii.mask'"),
        (files(pack=None, rules__pii=RULE.replace("mode: enforce", "mode: 'off'")), "a rule"),
        (files(pack=None, rules__pii=None, lists__rude=LIST, tests__pii=None), "a list 'rude'"),
        (
            files(
                pack=None,
                rules__pii=RULE.replace("pii.mask", "b.mask"),
                exceptions=exception(rule="b.mask"),
            ),
            "an exception 'x'",
        ),
    ],
)
def test_one_id_in_two_packs_names_both(other: dict[str, str], said: str) -> None:
    manifest = FILES["pack.yaml"].replace("id: mine", "id: other")
    with pytest.raises(PackError) as error:
        compose([MINE, load_pack({**other, "pack.yaml": manifest})])
    [problem] = error.value.problems
    assert problem.code == "GP-1401"
    assert "'mine' and 'other'" in problem.what
    assert said in problem.what
    assert problem.file.startswith("other/")
    assert problem.line
    assert "mine/" in problem.fix


def test_a_pack_twice_is_refused() -> None:
    with pytest.raises(PackError) as error:
        compose([MINE, BASELINE, load_pack(FILES)])
    assert error.value.problems[0].code == "GP-1402"


OUTPUT = """\
id: pii.answer
title: No addresses in answers
kind: pii
mode: enforce
params: {direction: output, labels: [EMAIL_ADDRESS]}
on_match: filter
message: {en: No addresses., fr: Aucune adresse.}
"""
TOOLS = """\
id: tools.some
title: Some tools are not used
kind: tool_access
mode: observe
params: {deny: ["drop*"]}
on_match: restrict
message: {en: Not this tool., fr: Pas cet outil.}
"""


@pytest.mark.parametrize(
    ("rule", "reads", "judges"),
    [
        (OUTPUT, True, True),
        (OUTPUT.replace("filter", "redact"), False, False),
        (OUTPUT.replace("output", "input").replace("filter", "deny"), False, False),
        (TOOLS, False, True),
        (TOOLS.replace("observe", "'off'"), False, False),
    ],
)
def test_whether_calls_of_tools_matter(rule: str, reads: bool, judges: bool) -> None:
    rules = compose([load_pack(files(rules__pii=rule, tests__pii=None))])
    assert (rules.reads_calls, rules.judges_calls) == (reads, judges)


def test_no_pack_at_all_allows_nothing() -> None:
    assert compose([]).data["rules"] == {}
    assert not compose([]).judges_calls
