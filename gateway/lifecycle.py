"""The composition of policymaking: packs as YAML, what is on record, and who changes what."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, get_args

import msgspec
import orjson
import structlog

from gateway.adapters.opa_wasm import WasmPolicy
from gateway.adapters.packs import (
    Change,
    EditError,
    Modules,
    Pack,
    PackError,
    as_json,
    check_tables,
    compose,
    digest_of,
    edit,
    load_pack,
    read_folder,
    sentences,
)
from gateway.adapters.store.policies import SqlPolicies
from gateway.adapters.store.records import SqlRecords
from gateway.adapters.store.shadow_counts import SqlShadowCounts
from gateway.compiling import modules_of
from gateway.core.errors import Unavailable
from gateway.core.policies import PackFiles
from gateway.core.ports import Journal
from gateway.core.rulesets import Json, Rules, Tested, Unfit
from gateway.governance.policies.cases import Recorded
from gateway.governance.policies.desk import Desk, Terms
from gateway.governance.policies.drafts import Drafts
from gateway.governance.policies.expiries import Expiries
from gateway.governance.policies.ownership import Ownership
from gateway.governance.policies.register import Register
from gateway.governance.policies.releases import Releases
from gateway.governance.policies.rollout import Rollouts
from gateway.governance.policies.shadow_reports import ShadowReports
from gateway.governance.policies.stops import Stops
from gateway.settings import Settings, baseline_pack

_log = structlog.get_logger(__name__)
EVERY = 60.0
"""Seconds between two looks for exceptions that ended."""
_CHANGES: Mapping[str, type[Any]] = {kind.__name__: kind for kind in get_args(Change)}


@dataclass
class Lifecycle:
    """What people do with policies."""

    drafts: Drafts
    releases: Releases
    rollouts: Rollouts
    ownership: Ownership
    stops: Stops
    expiries: Expiries
    register: Register
    shadows: ShadowReports
    desk: Desk
    store: SqlPolicies
    tallies: SqlShadowCounts
    _looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Once the journal has started: bring what is shipped into force where nothing is, and
        begin to look for exceptions that end. Raises `Unfit`.

        Where the database is away, whoever follows goes on from what it had.
        """
        try:
            shipped = await asyncio.to_thread(read_folder, baseline_pack())
            await self.rollouts.begin(shipped)
        except Unavailable as error:
            _log.warning("policies_unavailable", error=str(error))
        self._looking = asyncio.create_task(self._look())

    async def stop(self) -> None:
        """End, before the journal does, and close the connections."""
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking
        await self.store.stop()
        await self.tallies.stop()

    async def _look(self) -> None:
        while True:
            try:
                await self.expiries.look()
            except (Unavailable, ValueError) as error:
                _log.warning("expired_exceptions_not_recorded", error=str(error))
            await asyncio.sleep(EVERY)


def build_lifecycle(settings: Settings, journal: Journal, records: SqlRecords) -> Lifecycle:
    """Policymaking over a migrated database. Nothing runs yet."""
    told, store = settings.policy, SqlPolicies(settings.database_url)
    tallies = SqlShadowCounts(settings.database_url)
    terms = Terms(told.approvals, told.git_approves, str(told.pack) if told.pack else None)
    desk = Desk(store, YamlPacks(modules_of(settings)), journal, terms)
    drafts = Drafts(desk, LedgerQuestions(records))
    releases = Releases(desk, drafts)
    return Lifecycle(
        drafts=drafts,
        releases=releases,
        rollouts=Rollouts(desk, releases),
        ownership=Ownership(desk, drafts),
        stops=Stops(desk),
        expiries=Expiries(desk),
        register=Register(desk, drafts, releases),
        shadows=ShadowReports(desk, tallies),
        desk=desk,
        store=store,
        tallies=tallies,
    )


class YamlPacks:
    """Implements `Packs` with the packs' own reader, and the engine that runs in process.

    `modules` compile Rego that packs bring.
    """

    def __init__(self, modules: Modules | None = None) -> None:
        self.modules = modules or Modules()

    def digest(self, files: PackFiles) -> str:
        return digest_of(files)

    def named(self, files: PackFiles) -> tuple[str, str]:
        pack = _load(files)
        return pack.id, pack.version

    def compose(self, packs: Sequence[PackFiles]) -> Rules:
        loaded = [_load(files) for files in packs]
        try:
            ruleset = compose(loaded)
            self.modules.module(ruleset.custom)
        except PackError as error:
            raise _unfit(error) from error
        return Rules(
            ruleset.revision,
            {id: rule for kind in ruleset.data["rules"].values() for id, rule in kind.items()},
            {
                f"exception:{id}": {**exception, "rule": rule}
                for rule, those in ruleset.data["exceptions"].items()
                for id, exception in those.items()
            },
            ruleset.phrases,
            {
                "en": {k: v for pack in loaded for k, v in sentences(pack, "en").items()},
                "fr": {k: v for pack in loaded for k, v in sentences(pack, "fr").items()},
            },
        )

    def test(self, pack: PackFiles, among: Sequence[PackFiles]) -> Sequence[Tested]:
        tested = _load(pack)
        try:
            ruleset = compose([_load(files) for files in among])
            module = self.modules.module(ruleset.custom)
            self.modules.test(list(tested.source.custom.values()), tested.source.custom_tests)
        except PackError as error:
            raise _unfit(error) from error
        policy = WasmPolicy(module, ruleset.data, ruleset.revision)
        cases = asyncio.run(check_tables(tested.tables, policy))
        return [Tested(tested.id, case.suite, case.name, case.failures) for case in cases]

    def edit(self, files: PackFiles, changes: Sequence[Json]) -> PackFiles:
        """A change is an object with `change`, the name of one in `packs.changes`, and its
        members."""
        try:
            return edit(files, [_change(one) for one in changes])
        except PackError as error:
            raise _unfit(error) from error
        except EditError as error:
            raise Unfit([{"what": str(error)}], str(error)) from error


class LedgerQuestions:
    """Implements `Questions` over the ledger's encrypted parts."""

    def __init__(self, records: SqlRecords) -> None:
        self._records = records

    async def recorded(self, org: str, exchange_id: str) -> Recorded | None:
        try:
            entries = await self._records.read_exchange(exchange_id)
        except ValueError:
            return None
        for entry in entries:
            parts = entry.parts or {}
            if entry.header["org"] == org and "question" in parts and "decision" in parts:
                return Recorded(orjson.loads(parts["question"]), orjson.loads(parts["decision"]))
        return None


def _load(files: PackFiles) -> Pack:
    try:
        return load_pack(files)
    except PackError as error:
        raise _unfit(error) from error


def _unfit(error: PackError) -> Unfit:
    return Unfit(orjson.loads(as_json(error.problems)), str(error))


def _change(said: Json) -> Change:
    """A change out of JSON. Raises `EditError`."""
    kind = _CHANGES.get(str(said.get("change")))
    if kind is None:
        raise EditError(f"a change is one of {', '.join(sorted(_CHANGES))}")
    try:
        made: Change = msgspec.convert({k: v for k, v in said.items() if k != "change"}, kind)
    except msgspec.ValidationError as error:
        raise EditError(str(error)) from error
    return made
