"""Every pack that is shipped: without advice, tested both ways, and fit to stand together."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import pytest

from gateway.adapters.opa import OpaServer, OpaServerPolicy
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
from gateway.adapters.packs.documents import parse
from gateway.core.passages import Passage
from gateway.core.policy import Effect
from gateway.inspectors.labels import KNOWN_LABELS
from gateway.inspectors.phrases import PhraseInspector
from tests.contracts.policy_server import ROOT, PolicyServer, opa_binary

FOLDERS = {
    path.parent.name: path.parent for path in sorted(ROOT.glob("policies/packs/*/pack.yaml"))
}
OURS = [name for name in FOLDERS if name != "baseline"]
PACKS = {name: load_pack(read_folder(folder)) for name, folder in FOLDERS.items()}
MODULE = engine().read_bytes()
LANGUAGES = {"en", "fr", "de", "es"}


@pytest.fixture(scope="module")
def server() -> Iterator[PolicyServer]:
    server = PolicyServer(opa_binary())
    yield server
    server.stop()


def test_all_of_them_are_there() -> None:
    assert set(FOLDERS) == {
        "agents-and-tools", "baseline", "cost-control", "eu-ai-act", "finance", "gdpr-privacy",
        "health", "hr-fairness", "public-sector",
    }  # fmt: skip


@pytest.mark.parametrize("name", FOLDERS)
def test_nothing_is_wrong_with_it_and_there_is_no_advice(name: str) -> None:
    found = check(read_folder(FOLDERS[name]), KNOWN_LABELS)
    assert [str(problem) for problem in found.problems] == []
    assert found.pack is not None
    assert found.pack.id == name


@pytest.mark.parametrize("name", FOLDERS)
async def test_it_passes_its_tables_in_process(name: str) -> None:
    pack = PACKS[name]
    cases = await check_tables(pack.tables, WasmPolicy(MODULE, pack.data, pack.revision))
    assert len(cases) >= 10
    assert [case for case in cases if case.failures] == []


@pytest.mark.parametrize("name", FOLDERS)
async def test_it_passes_its_tables_on_an_opa_server(name: str, server: PolicyServer) -> None:
    pack = PACKS[name]
    await asyncio.to_thread(server.publish_pack, pack.data)
    client = OpaServer(server.url, timeout=30)
    try:
        cases = await check_tables(pack.tables, OpaServerPolicy(client, pack.revision))
    finally:
        await client.stop()
    assert [case for case in cases if case.failures] == []


def cases_of(pack: Pack) -> list[Mapping[str, Any]]:
    return [case for table in pack.tables for case in table["cases"]]


@pytest.mark.parametrize("name", OURS)
async def test_every_rule_is_hit_by_a_case_and_missed_by_another(name: str) -> None:
    """What a table names is hit, as the tables pass. Of what is allowed every rule that was hit is
    told, so there a rule that is not told was missed; baseline lets all be allowed."""
    pack = PACKS[name]
    rules = compose([pack, PACKS["baseline"]])
    policy = WasmPolicy(MODULE, rules.data, rules.revision)
    hit: set[str] = set()
    missed: set[str] = set()
    for case in cases_of(pack):
        expect = case["expect"]
        hit |= {*expect["rules"], *expect.get("observed", ())}
        verdict = (await policy.decide(question_of(case["given"]))).verdict
        told = {reason.rule for reason in verdict.reasons} | {
            seen.rule for seen in verdict.observed
        }
        if verdict.effect is Effect.ALLOW:
            missed |= set(pack.rules) - told
    assert sorted(set(pack.rules) - hit) == []
    assert sorted(set(pack.rules) - missed) == []


@pytest.mark.parametrize("name", OURS)
async def test_a_plain_request_hits_nothing_that_looks_at_requests(name: str) -> None:
    pack = PACKS[name]
    policy = WasmPolicy(MODULE, pack.data, pack.revision)
    plain = (await policy.decide(question_of({}))).verdict
    hit = {reason.rule for reason in plain.reasons} | {seen.rule for seen in plain.observed}
    looking = {
        id for id, rule in pack.rules.items() if rule.get("params", {}).get("direction") == "input"
    }
    assert not hit & looking
    assert plain.effect is Effect.DENY, "with this pack alone, what nobody tagged is not served"


@pytest.mark.parametrize("name", OURS)
def test_what_people_read_is_there_in_english_and_french(name: str) -> None:
    for id, rule in PACKS[name].rules.items():
        assert set(rule["message"]) >= {"en", "fr"}, id
        assert rule["message"]["en"] != rule["message"]["fr"], id
        assert rule["why"].strip(), id


def rows(text: str) -> dict[str, list[str]]:
    """The cells of the table rows whose first cell is code, by that."""
    found = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| `")]
    return {cells[0].strip(" `"): [cell.strip() for cell in cells[1:]] for cells in found}


@pytest.mark.parametrize("name", OURS)
def test_the_readme_tells_every_rule_its_mode_and_both_titles(name: str) -> None:
    told = rows((FOLDERS[name] / "README.md").read_text())
    assert set(told) == set(PACKS[name].rules)
    for id, rule in PACKS[name].rules.items():
        mode, english, french = told[id][:3]
        assert mode == {"enforce": "on", "observe": "observe"}[rule["mode"]], id
        assert english == rule["title"], id
        assert french, id
        assert french != english, id


SECTIONS = ("## What it does not do", "## The rules", "## As shipped", "## Adapt it")


@pytest.mark.parametrize("name", OURS)
def test_the_readme_says_what_it_does_not_do(name: str) -> None:
    text = (FOLDERS[name] / "README.md").read_text()
    places = [text.find(section) for section in SECTIONS]
    assert -1 not in places
    assert places == sorted(places)
    assert f"`{name}`" in text.splitlines()[2], "it begins with what the pack is called"


@pytest.mark.parametrize("name", OURS)
def test_the_attachments_in_the_readme_fit_the_pack(name: str) -> None:
    """The example under "Adapt it" can be put in the place of the shipped file."""
    files = read_folder(FOLDERS[name])
    blocks = re.findall(r"```yaml\n# attachments\.yaml\n(.*?)```", files["README.md"], re.DOTALL)
    assert blocks
    for block in blocks:
        found = check({**files, "attachments.yaml": block}, KNOWN_LABELS)
        assert [str(problem) for problem in found.problems] == []
        assert parse(block, "attachments.yaml")[0].value != PACKS[name].source.attachments


@pytest.mark.parametrize("pair", list(combinations(FOLDERS, 2)), ids=" and ".join)
def test_any_two_stand_together(pair: Sequence[str]) -> None:
    rules = compose([PACKS[name] for name in pair])
    assert set(rules.packs) == set(pair)
    made = WasmPolicy(MODULE, rules.data, rules.revision)
    assert made.revision == rules.revision


async def test_all_stand_together_and_no_refusal_of_one_is_lost() -> None:
    rules = compose(list(PACKS.values()))
    policy = WasmPolicy(MODULE, rules.data, rules.revision)
    assert (await policy.decide(question_of({}))).effect is Effect.ALLOW
    for name in OURS:
        for case in cases_of(PACKS[name]):
            refused = set(case["expect"]["rules"]) - {"default.model"}
            if case["expect"]["effect"] != "deny" or not refused:
                continue
            verdict = (await policy.decide(question_of(case["given"]))).verdict
            assert verdict.effect is Effect.DENY, case["name"]
            assert refused <= {reason.rule for reason in verdict.reasons}, case["name"]


LISTS = [(name, entry.value) for name in OURS for entry in PACKS[name].source.lists]


async def found_in(text: str, lists: Mapping[str, Sequence[str]]) -> set[str]:
    passage = Passage(text, "/messages/0/content")
    return {finding.label for finding in await PhraseInspector(lists).inspect([passage])}


@pytest.mark.parametrize(("name", "entry"), LISTS, ids=[entry["id"] for _, entry in LISTS])
async def test_each_phrase_is_found_and_the_list_speaks_four_languages(
    name: str, entry: Mapping[str, Any]
) -> None:
    assert set(entry["phrases"]) == LANGUAGES
    for phrases in entry["phrases"].values():
        assert len(phrases) == len({phrase.casefold() for phrase in phrases})
        for phrase in phrases:
            spoken = f"So: {phrase.upper()}, they said."
            assert entry["id"] in await found_in(spoken, PACKS[name].phrases), phrase


HARMLESS = (
    "Please summarise the delivery conditions for the customer in two sentences.",
    "Which articles of the AI Act speak of emotion recognition systems?",
    "The candidate has eight years of experience with industrial robots.",
    "Explain how the return on a bond is computed and what risk means.",
    "The patient leaflet must be translated into plain language.",
    "Our model was trained on data of 2024; ignore the empty columns.",
    "The emergency exit is on the left, behind the confidential archive.",
    "Rédige une annonce pour un poste de technicienne ou technicien de maintenance.",
    "Quels sont les horaires du service de l'état civil pendant les vacances?",
    "Le traitement de la commande est terminé, le virement suit demain.",
    "Bitte fasse den Besprechungsbericht in fünf Punkten zusammen.",
    "Die Maschine darf nur bei geschlossener Schutztür laufen.",
    "Resume el informe de ventas del trimestre para la dirección.",
    "El candidato habla tres idiomas y conoce la normativa.",
)


@pytest.mark.parametrize("text", HARMLESS)
async def test_plain_work_meets_no_list(text: str) -> None:
    lists = {id: phrases for pack in PACKS.values() for id, phrases in pack.phrases.items()}
    assert await found_in(text, lists) == set()
