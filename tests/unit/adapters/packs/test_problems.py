"""What is said of broken packs: the corpus, its codes, and that nothing ever breaks the checker."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.adapters.packs import as_github, as_json, as_text, check, load_pack
from gateway.adapters.packs.problems import Code, Problem
from gateway.adapters.packs.suggestions import nearest
from tests.unit.adapters.packs.broken_packs import CORPUS, NOW, Broken
from tests.unit.adapters.packs.samples import FILES, LABELS, OF_EVERY_KIND

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "policy-problems.md"
ELSEWHERE = {
    Code.NOT_READ, Code.TOO_LARGE, Code.OUTSIDE,  # test_folder.py
    Code.ID_IN_TWO_PACKS, Code.PACK_TWICE,  # test_composing.py
    Code.CUSTOM_REFUSED, Code.CUSTOM_REACHES, Code.CUSTOM_TEST, Code.NO_COMPILER,
    # test_compiling.py
}  # fmt: skip
CODES = st.sampled_from(list(Code))
LINES = st.text(st.sampled_from("a:%,\r\n é\x00"), max_size=12)


def test_the_corpus_is_large() -> None:
    assert len(CORPUS) >= 60
    assert not check(FILES, LABELS, NOW).problems, "what the broken packs are made of is sound"


@pytest.mark.parametrize("broken", CORPUS, ids=[broken.path.stem for broken in CORPUS])
def test_what_is_said_of_a_broken_pack(broken: Broken) -> None:
    assert broken.now_said() == broken.said
    found = broken.checked()
    assert found.problems
    for problem in found.problems:
        assert problem.what
        assert problem.why
        assert problem.fix
        assert problem.file
        assert "Traceback" not in str(problem)
    assert (found.pack is None) == bool(found.errors)
    assert broken.path.stem.startswith("advice_") == (not found.errors)


def test_every_code_is_said_by_a_broken_pack_and_stands_in_the_documentation() -> None:
    said = {problem.code for broken in CORPUS for problem in broken.checked().problems}
    assert said | ELSEWHERE == set(Code)
    assert not said & ELSEWHERE
    documented = re.findall(r"^\| <a id=\"(gp-\d+)\"></a>`(GP-\d+)` \|", PAGE.read_text(), re.M)
    assert [code for _, code in documented] == sorted(Code)
    assert all(anchor == code.lower() for anchor, code in documented)


def test_nothing_is_said_of_a_rule_of_any_kind() -> None:
    rules = [{**rule, "id": f"rule-{at}"} for at, rule in enumerate(OF_EVERY_KIND.values())]
    pack = {
        **FILES,
        "rules/all.yaml": "\n---\n".join(map(json.dumps, rules)),
        "lists/weapons.yaml": "id: weapons\ntitle: W\nphrases: {en: [bomb]}\n",
    }
    assert not check(pack).errors


BYTES = st.characters(max_codepoint=0x2FF) | st.sampled_from(
    "\ufeff\u2028\ud800\x85\t-:{}[]*&!%@`'\"|>#\n"
)


@settings(deadline=None)
@given(
    name=st.sampled_from([*FILES, "exceptions.yaml", "attachments.yaml", "lists/a.yaml"]),
    cut=st.integers(0, 300),
    lost=st.integers(0, 30),
    put=st.text(BYTES, max_size=20),
)
def test_a_spoilt_text_is_a_problem_and_never_an_error(
    name: str, cut: int, lost: int, put: str
) -> None:
    text = FILES.get(name, "- {id: a, rule: pii.mask, when: {}}\n")
    spoilt = {**FILES, name: text[:cut] + put + text[cut + lost :]}
    found = check(spoilt, LABELS, NOW)
    as_text(found.problems)
    as_github(found.problems, "packs/mine")
    json.loads(as_json(found.problems))
    assert (found.pack is None) == bool(found.errors)
    if not found.errors:
        load_pack(spoilt)
    else:
        assert all(problem.code in set(Code) for problem in found.problems)


JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.floats(-1, 2), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(deadline=None)
@given(data=st.data(), junk=JUNK, how=st.sampled_from(["replace", "remove", "add"]))
def test_a_spoilt_structure_is_a_problem_and_never_an_error(
    data: st.DataObject, junk: Any, how: str
) -> None:
    value = json.loads(json.dumps(data.draw(st.sampled_from(DOCUMENTS))))
    holder, key = data.draw(st.sampled_from(list(_places(value))))
    match how:
        case "remove":
            del holder[key]
        case "add" if isinstance(holder, dict):
            holder[data.draw(st.text(max_size=5))] = junk
        case _:
            holder[key] = junk
    name = "exceptions.yaml" if isinstance(value, list) else "rules/pii.yaml"
    name = "tests/pii.yaml" if isinstance(value, dict) and "suite" in value else name
    found = check({**FILES, name: json.dumps(value)}, LABELS, NOW)
    assert (found.pack is None) == bool(found.errors)
    assert all(problem.what and problem.why and problem.fix for problem in found.problems)


DOCUMENTS: list[Any] = [
    *OF_EVERY_KIND.values(),
    [{"id": "x", "rule": "pii.mask", "when": {"apps": ["a"]}, "until": "2027-01-01T00:00:00Z",
      "why": "y", "approved_by": "z"}],
    {"suite": "s", "cases": [{"name": "n", "given": {"findings": [{"kind": "pii", "label": "X"}]},
                              "expect": {"effect": "deny", "rules": ["pii.mask"]}}]},
]  # fmt: skip


def _places(value: Any) -> Any:
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for key, member in list(members):
        yield value, key
        if isinstance(member, dict | list):
            yield from _places(member)


@given(code=CODES, texts=st.lists(LINES, min_size=5, max_size=5), line=st.integers(0, 9))
def test_github_reads_one_command_a_problem(code: Code, texts: list[str], line: int) -> None:
    file, where, what, why, fix = texts
    problem = Problem(code, file, line, line, where, what, why, fix, ("a,b",), "r")
    said = as_github([problem, problem], "packs/mine/")
    assert said.count("\n") == 1
    command = said.partition("\n")[0]
    found = re.fullmatch(r"::(error|warning) (file=[^:]*)::(.*)", command)
    assert found is not None
    given = dict(part.split("=", 1) for part in found[2].split(","))
    escaped = {"%25": "%", "%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ","}
    read = re.sub("|".join(escaped), lambda sign: escaped[sign[0]], given["file"])
    assert read == f"packs/mine/{file}"
    assert given.get("line") == (str(line) if line else None)
    assert (found[1] == "warning") == problem.warning == code.startswith("GP-13")


def test_json_says_everything() -> None:
    [problem] = check({**FILES, "rules/x.yml": ""}, LABELS, NOW).problems
    assert json.loads(as_json([problem])) == [
        {
            "code": "GP-1006",
            "severity": "error",
            "file": "rules/x.yml",
            "line": None,
            "column": None,
            "where": "",
            "rule": None,
            "what": problem.what,
            "why": problem.why,
            "fix": problem.fix,
            "similar": ["rules/x.yaml"],
            "docs": "docs/reference/policy-problems.md#gp-1006",
        }
    ]


def test_what_is_meant_is_named() -> None:
    assert nearest("EMIAL_ADDRESS", ["PHONE_NUMBER", "EMAIL_ADDRESS"]) == ("EMAIL_ADDRESS",)
    assert nearest("e-mail address", ["EMAIL_ADDRESS"]) == ("EMAIL_ADDRESS",)
    assert nearest("block", ["mask", "deny"]) == ("deny",)
    assert nearest("block", ["mask"]) == ()
    assert nearest("zzz", ["mask", "deny"]) == ()
