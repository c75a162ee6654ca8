"""The twenty scenarios of the documentation: their packs load, and decide what the pages say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.opa_wasm import WasmPolicy
from gateway.adapters.packs import (
    Pack,
    check,
    check_tables,
    compose,
    engine,
    load_pack,
    question_of,
    read_folder,
)
from gateway.core.policy import Effect, Verdict
from gateway.inspectors.labels import KNOWN_LABELS
from gateway.inspectors.phrases import PhraseInspector

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs/howto/scenarios"
PAGES = {path.stem: path.read_text() for path in FOLDER.glob("*.md") if path.stem != "README"}
SHIPPED = ROOT / "policies/packs"
MODULE = engine().read_bytes()


def pack_of(page: str) -> dict[str, str]:
    """The files of the pack that a page shows, by their path inside it."""
    blocks = re.findall(r"```yaml\n# (\S+)\n(.*?)```", PAGES[page], re.DOTALL)
    [pack] = {name.partition("/")[0] for name, _ in blocks}
    files = {name.removeprefix(f"{pack}/"): text for name, text in blocks}
    assert len(files) == len(blocks), "each file is shown once"
    return files


def sections(page: str) -> dict[str, str]:
    """The scenarios of a page, by the application that each is about."""
    parts = PAGES[page].split("\n## ")[1:]
    return {re.findall(r"--app (\S+)", part)[0]: part for part in parts}


def beside(section: str) -> list[Pack]:
    """The shipped packs that a scenario names."""
    [line] = re.findall(r"^Beside: (.*)\.$", section, re.MULTILINE)
    return [load_pack(read_folder(SHIPPED / name)) for name in re.findall(r"`([a-z-]+)`", line)]


SCENARIOS = [(page, app) for page in sorted(PAGES) for app in sections(page)]


def cases_of(page: str, app: str) -> list[Mapping[str, Any]]:
    tables = load_pack(pack_of(page)).tables
    return [case for table in tables for case in table["cases"] if case["given"]["app"] == app]


def policy_of(packs: Sequence[Pack]) -> WasmPolicy:
    rules = compose(packs)
    return WasmPolicy(MODULE, rules.data, rules.revision)


def test_there_are_twenty_two_for_each_area() -> None:
    assert len(PAGES) == 10
    assert len(SCENARIOS) == len({app for _, app in SCENARIOS}) == 20
    assert all(len(sections(page)) == 2 for page in PAGES)


@pytest.mark.parametrize("page", sorted(PAGES))
async def test_the_pack_of_a_page_is_whole_and_passes_its_tables(page: str) -> None:
    found = check(pack_of(page), KNOWN_LABELS)
    assert [str(problem) for problem in found.problems] == []
    assert found.pack is not None
    cases = await check_tables(found.pack.tables, policy_of([found.pack]))
    assert [case for case in cases if case.failures] == []


@pytest.mark.parametrize(("page", "app"), SCENARIOS)
async def test_what_a_scenario_says_holds_beside_the_packs_that_it_names(
    page: str, app: str
) -> None:
    """Beside other packs there are more reasons and duties, and none is lost; what nobody admits
    is admitted by baseline."""
    policy = policy_of([load_pack(pack_of(page)), *beside(sections(page)[app])])
    cases = cases_of(page, app)
    assert len(cases) >= 2
    for case in cases:
        expect = case["expect"]
        if expect["rules"] == ["default.model"]:
            continue
        verdict = (await policy.decide(question_of(case["given"]))).verdict
        assert verdict.effect == expect["effect"], case["name"]
        assert set(expect["rules"]) <= {reason.rule for reason in verdict.reasons}, case["name"]
        assert lost(expect.get("obligations", ()), verdict) == [], case["name"]


def lost(wanted: Sequence[Mapping[str, Any]], verdict: Verdict) -> list[str]:
    """The duties that are not there any more, or are weaker."""
    return [id for duty in wanted for id, params in duty.items() if not kept(id, params, verdict)]


def kept(id: str, params: Mapping[str, Any], verdict: Verdict) -> bool:
    for duty in verdict.obligations:
        match id:
            case _ if duty.id != id:
                continue
            case "restrict_tools":
                good = set(duty.params["allowed"]) <= set(params["allowed"])
            case "cap_tokens":
                good = duty.params["most"] <= params["most"]
            case "reroute":
                good = all(set(duty.params.get(at, ())) <= set(params[at]) for at in params)
                good = good and set(params) <= set(duty.params)
            case "label" | "mask":
                good = set(params["labels"]) <= set(duty.params["labels"])
            case "screen":
                good = duty.params["on_match"] == params["on_match"]
                good = good and set(params["labels"]) <= set(duty.params["labels"])
            case _:
                good = duty.params == params
        if good:
            return True
    return False


@pytest.mark.parametrize(("page", "app"), SCENARIOS)
def test_a_scenario_is_tested_with_the_key_that_it_shows(page: str, app: str) -> None:
    section = sections(page)[app]
    [command] = re.findall(r"govgate keys create (.*)", section)
    [team] = re.findall(r"--team (\S+)", command)
    for case in cases_of(page, app):
        given = case["given"]
        assert given["team"] == team
        assert given["tags"] == re.findall(r"--tag (\S+)", command)
    for part in ("**Who.**", "**What can go wrong.**", "**What governs it.**", "**What remains"):
        assert part in section


@pytest.mark.parametrize(("page", "app"), SCENARIOS)
async def test_the_shipped_packs_that_a_scenario_names_apply_to_its_key(
    page: str, app: str
) -> None:
    """A pack that is named and of which no rule could apply would be an empty promise."""
    tags = cases_of(page, app)[0]["given"]["tags"]
    for pack in beside(sections(page)[app]):
        places = [pack.attached(id) for id in pack.rules]
        assert any(
            place is None
            or any(not when or set(when.get("tags", ())) & set(tags) for when in place)
            for place in places
        ), pack.id


@pytest.mark.parametrize("page", sorted(PAGES))
async def test_every_rule_refuses_or_binds_its_own_application_alone(page: str) -> None:
    pack = load_pack(pack_of(page))
    policy = policy_of([pack, load_pack(read_folder(SHIPPED / "baseline"))])
    named = {rule for case in all_cases(pack) for rule in case["expect"]["rules"]}
    assert set(pack.rules) <= named, "each rule is hit by a case"
    for case in all_cases(pack):
        other = {**case["given"], "app": "somebody-else"}
        verdict = (await policy.decide(question_of(other))).verdict
        assert verdict.effect is Effect.ALLOW
        assert not set(pack.rules) & {reason.rule for reason in verdict.reasons}


def all_cases(pack: Pack) -> list[Mapping[str, Any]]:
    return [case for table in pack.tables for case in table["cases"]]


@pytest.mark.parametrize("page", sorted(PAGES))
def test_what_people_read_is_there_in_english_and_french(page: str) -> None:
    pack = load_pack(pack_of(page))
    assert all({"en", "fr"} <= set(rule["message"]) for rule in pack.rules.values())
    assert all(rule["why"] for rule in pack.rules.values())
    PhraseInspector(pack.phrases)  # raises for a phrase that nothing could find


def test_the_overview_names_each_scenario_with_its_packs_and_tags() -> None:
    rows = [
        line.strip("|").split("|")
        for line in (FOLDER / "README.md").read_text().splitlines()
        if line.startswith("|") and ".md#" in line
    ]
    assert len(rows) == 20
    told = {}
    for _, scenario, named, own, tags in rows:
        [(title, page)] = re.findall(r"\[(.+)\]\(([a-z-]+)\.md#", scenario)
        told[page, title] = ([*re.findall(r"`([a-z-]+)`", named)], own.strip(" `"), tags)
    for page, app in SCENARIOS:
        section = sections(page)[app]
        packs, own, tags = told[page, section.partition("\n")[0]]
        assert ["baseline", *packs] == [pack.id for pack in beside(section)]
        assert own == load_pack(pack_of(page)).id
        assert re.findall(r"`(\S+?)`", tags) == cases_of(page, app)[0]["given"]["tags"]
