"""Policymaking put together: the shipped pack, the ledger, and a change from end to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from gateway.adapters.keyring import Keyring
from gateway.adapters.packs import Compiler, Modules, digest_of, question_of, read_folder
from gateway.core.ids import new_id
from gateway.core.money import ZERO
from gateway.core.policies import Missing, OwnedElsewhere, Refused, Step
from gateway.core.principal import Principal
from gateway.core.records import Entry, Kind
from gateway.core.roles import Role
from gateway.core.rulesets import Unfit
from gateway.lifecycle import Lifecycle, YamlPacks, build_lifecycle
from gateway.settings import Database as Stored
from gateway.settings import Policy, Settings, baseline_pack
from tests.contracts.journals import SqlLedger
from tests.contracts.policy_server import opa_binary
from tests.databases import Database
from tests.unit.adapters.packs.rego import pack_of

AUTHOR = Principal("default", "risk", "console", "key_ann", roles=(Role.POLICY_AUTHOR,))
APPROVER = Principal("default", "risk", "console", "key_bob", roles=(Role.POLICY_APPROVER,))
BASELINE = read_folder(baseline_pack())
LOOSER = {
    "change": "SetValue",
    "rule": "pii.contact.mask",
    "path": ["params", "min_score"],
    "value": 0.55,
}


@dataclass
class Room:
    """A lifecycle over a ledger."""

    ledger: SqlLedger
    lifecycle: Lifecycle

    async def kinds(self) -> list[Kind]:
        acts = [await self.ledger.entries(act) for act in await self.ledger.acts()]
        return [entry.kind for entries in acts for entry in entries]


@asynccontextmanager
async def room(
    url: str, keyring: Keyring, folder: Path, pack: Path | None = None
) -> AsyncIterator[Room]:
    told = Settings(data_dir=folder, policy=Policy(pack=pack), database=Stored(url=url))
    async with SqlLedger.on(url, keyring) as ledger:
        lifecycle = build_lifecycle(told, ledger.journal, ledger.records)
        await lifecycle.start()
        try:
            yield Room(ledger, lifecycle)
        finally:
            await lifecycle.stop()


async def test_a_change_from_end_to_end(
    database: Database, keyring: Keyring, tmp_path: Path
) -> None:
    async with room(database.url, keyring, tmp_path) as here:
        parts = here.lifecycle
        first = (await parts.store.standing()).rollout
        assert first is not None
        assert first.step is Step.FIRST
        draft = await parts.drafts.begin("baseline", AUTHOR)
        assert draft.files == BASELINE
        draft = await parts.drafts.change(draft.id, 1, [LOOSER], AUTHOR)
        checked = await parts.drafts.validate(draft.id, AUTHOR)
        (change,) = checked.diff.changes
        assert change.before is not None
        assert change.after is not None
        assert change.before["en"] != change.after["en"]
        assert change.before["fr"] != change.after["fr"]
        assert checked.diff.widening
        run = await parts.drafts.test(draft.id, AUTHOR)
        assert run.passed, run.failed
        release = await parts.releases.submit(draft.id, 2, AUTHOR, "too many hits")
        with pytest.raises(Refused, match="approved by 0 of 1"):
            await parts.rollouts.activate(release.id, APPROVER)
        await parts.releases.approve(release.id, release.revision, APPROVER)
        await parts.rollouts.activate(release.id, APPROVER)
        back = await parts.rollouts.roll_back(APPROVER)
        assert back.active == first.active
        assert await here.kinds() == [
            Kind.POLICY_OWNERSHIP_CHANGED,
            Kind.POLICY_ACTIVATED,
            Kind.POLICY_DRAFT_SAVED,
            Kind.POLICY_DRAFT_SAVED,
            Kind.POLICY_VALIDATED,
            Kind.POLICY_TESTS_RUN,
            Kind.POLICY_SUBMITTED,
            Kind.POLICY_APPROVED,
            Kind.POLICY_ACTIVATED,
            Kind.POLICY_ROLLED_BACK,
        ]


async def test_an_exchange_of_the_ledger_becomes_a_test(
    sqlite_url: str, keyring: Keyring, tmp_path: Path
) -> None:
    async with room(sqlite_url, keyring, tmp_path) as here:
        found = {"kind": "pii", "label": "EMAIL_ADDRESS", "score": 0.98}
        question = question_of({"findings": [found], "region": "eu"})
        exchange = new_id("exc")
        record = here.ledger.journal.begin(exchange, AUTHOR, Entry(Kind.OPENED, {"model": "m"}))
        asked = orjson.dumps(question)
        said = orjson.dumps({"effect": "allow", "obligations": []})
        attempt = Entry(Kind.ATTEMPT, {"attempt": 1}, {"question": asked, "decision": said})
        await record.append(attempt, ZERO)
        await record.close(Entry(Kind.CLOSED, {"outcome": "completed"}), ZERO)
        drafts = here.lifecycle.drafts
        draft = await drafts.begin("baseline", AUTHOR)
        await drafts.add_test(draft.id, 1, exchange, "what went wrong: #7", AUTHOR)
        run = await drafts.test(draft.id, AUTHOR)
        assert run.passed, run.failed
        assert "what went wrong: #7" in [case.name for case in run.cases]
        wrong = {"effect": "deny"}
        await drafts.add_test(draft.id, 2, exchange, "another end", AUTHOR, wrong)
        run = await drafts.test(draft.id, AUTHOR)
        assert [case.name for case in run.failed] == ["another end"]
        for unknown in (new_id("exc"), "exc_1"):
            with pytest.raises(Missing):
                await drafts.add_test(draft.id, 3, unknown, "x", AUTHOR)


async def test_gateways_that_start_at_once_begin_once(
    database: Database, keyring: Keyring, tmp_path: Path
) -> None:
    async with SqlLedger.on(database.url, keyring) as ledger:
        told = Settings(data_dir=tmp_path, database=Stored(url=database.url))
        several = [build_lifecycle(told, ledger.journal, ledger.records) for _ in range(3)]
        await asyncio.gather(*(one.start() for one in several))
        rollouts = await several[0].store.rollouts()
        assert len(rollouts) == 1
        assert rollouts[0].active == (await several[2].store.releases())[0].id
        for one in several:
            await one.stop()
        acts = [entry for act in await ledger.acts() for entry in await ledger.entries(act)]
        assert [entry.kind for entry in acts].count(Kind.POLICY_ACTIVATED) == 1


async def test_files_of_the_operator_decide_alone(
    sqlite_url: str, keyring: Keyring, tmp_path: Path
) -> None:
    async with room(sqlite_url, keyring, tmp_path, pack=baseline_pack()) as here:
        assert (await here.lifecycle.store.standing()).rollout is None
        with pytest.raises(OwnedElsewhere, match="GOVGATE_POLICY__PACK"):
            await here.lifecycle.drafts.begin("baseline", AUTHOR)


def test_packs_are_read_as_they_are_elsewhere() -> None:
    packs = YamlPacks()
    assert packs.digest(BASELINE) == digest_of(BASELINE)
    assert packs.named(BASELINE)[0] == "baseline"
    rules = packs.compose([BASELINE])
    assert rules.sentences["en"].keys() == rules.sentences["fr"].keys()
    assert set(rules.rules) <= set(rules.sentences["en"])
    assert {case.pack for case in packs.test(BASELINE, [BASELINE])} == {"baseline"}


BROKEN = {**BASELINE, "rules/access.yaml": "id: models.all\nkind: nonsense\n"}
TWICE = {**BASELINE, "pack.yaml": BASELINE["pack.yaml"].replace("id: baseline", "id: other")}


@pytest.mark.parametrize(
    "given", [[BROKEN], [BASELINE, TWICE], [{}]], ids=["broken", "ids", "none"]
)
def test_what_is_wrong_with_packs_is_told_as_data(given: list[dict[str, str]]) -> None:
    with pytest.raises(Unfit) as wrong:
        YamlPacks().compose(given)
    assert all(problem["code"].startswith("GP-") for problem in wrong.value.problems)
    with pytest.raises(Unfit):
        YamlPacks().test(given[0] if given[0] is BROKEN else BROKEN, given)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"change": "Explode"},
        {"change": "SetValue"},
        {**LOOSER, "rule": "no.such.rule"},
        {"change": "AddPhrase", "list": 7, "language": "en", "phrase": "x"},
    ],
)
def test_a_change_that_cannot_be_made(change: dict[str, object]) -> None:
    with pytest.raises(Unfit) as wrong:
        YamlPacks().edit(BASELINE, [change])
    assert wrong.value.problems[0]["what"]


def test_packs_with_rego_are_compiled_and_tested_before_they_are_taken() -> None:
    packs = YamlPacks(Modules(Compiler(opa_binary())))
    files = {**pack_of(), "tests/t.yaml": LONG}
    assert "custom:token_ceiling" in {
        rule["kind"] for rule in packs.compose([files]).rules.values()
    }
    [case] = packs.test(files, [files])
    assert not case.failures
    untested = {name: text for name, text in files.items() if not name.endswith("_test.rego")}
    with pytest.raises(Unfit) as refused:
        packs.test(untested, [untested])
    assert [problem["code"] for problem in refused.value.problems] == ["GP-1507"]
    without = YamlPacks(Modules(Compiler("no-such-opa")))
    for look in (lambda: without.compose([files]), lambda: without.test(files, [files])):
        with pytest.raises(Unfit) as refused:
            look()
        assert [problem["code"] for problem in refused.value.problems] == ["GP-1508"]


LONG = """\
suite: long requests
cases:
  - name: a short one passes
    given: {}
    expect: {effect: allow}
"""
