"""The composition of replays: recorded questions, and what decides them anew, in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from gateway.adapters.decision_cache import CachedPolicy
from gateway.adapters.keyring import Keyring
from gateway.adapters.opa_wasm import WasmPolicy
from gateway.adapters.packs import Modules, compose, load_pack, read_folder
from gateway.adapters.store.journal import SqlJournal
from gateway.adapters.store.masked_parts import MaskedParts
from gateway.adapters.store.policies import SqlPolicies
from gateway.adapters.store.questions import SqlQuestions
from gateway.adapters.store.records import SqlRecords
from gateway.adapters.store.request_texts import SqlRequestTexts
from gateway.auditing import personal
from gateway.compiling import modules_of
from gateway.core.dialect import Dialect
from gateway.core.policies import PackFiles
from gateway.core.rulesets import Rules
from gateway.governance.contents import DialectContents
from gateway.governance.policies.desk import Desk, Terms
from gateway.governance.policies.drafts import Drafts
from gateway.governance.policies.replay import Side
from gateway.governance.policies.replays import Replays
from gateway.inspectors.phrases import PhraseInspector
from gateway.inspectors.pii import FLOOR
from gateway.lifecycle import LedgerQuestions, YamlPacks
from gateway.payloads import open_payloads
from gateway.settings import Settings

REMEMBERED = 50_000
"""Decisions that a side of a replay remembers, by the facts that they rest on."""


@dataclass(frozen=True, slots=True)
class Replaying:
    """Replays, and the rules that decide now."""

    replays: Replays
    packs: YamlPacks

    async def rules(self, files: PackFiles | None = None) -> Rules:
        """What the packs say that decide now; with `files`, those in the place of their pack.

        Raises `Unfit`, `Unavailable`.
        """
        base: Mapping[str, PackFiles] = await self.replays.base()
        changed = {} if files is None else {self.packs.named(files)[0]: files}
        return self.packs.compose(list({**base, **changed}.values()))


@asynccontextmanager
async def open_replaying(
    settings: Settings, keyring: Keyring, dialects: Mapping[str, Dialect]
) -> AsyncIterator[Replaying]:
    """Replays over a migrated database; closed at the end. `dialects` read what was asked."""
    told, url = settings.policy, settings.database_url
    objects = open_payloads(settings)
    store, packs = SqlPolicies(url), YamlPacks(modules_of(settings))
    journal, records = SqlJournal(url, keyring), SqlRecords(url, keyring, objects=objects)
    questions = SqlQuestions(url, keyring, objects=objects)
    texts = open_texts(settings, keyring, dialects)
    terms = Terms(told.approvals, told.git_approves, str(told.pack) if told.pack else None)
    desk = Desk(store, packs, journal, terms)
    drafts = Drafts(desk, LedgerQuestions(records))
    shipped = [read_folder(settings.pack)]
    try:
        await journal.start()
        side = partial(side_of, modules=packs.modules)
        replays = Replays(desk, drafts, questions, texts, side, PhraseInspector, shipped, FLOOR)
        yield Replaying(replays, packs)
    finally:
        await journal.stop()
        await questions.stop()
        await texts.stop()
        await records.stop()
        await store.stop()


def open_texts(
    settings: Settings, keyring: Keyring, dialects: Mapping[str, Dialect]
) -> SqlRequestTexts:
    """What reads the texts of requests without personal data."""
    parts = MaskedParts(keyring, open_payloads(settings))
    contents = DialectContents(dialects.values(), personal)
    return SqlRequestTexts(settings.database_url, parts, contents)


def side_of(packs: Sequence[PackFiles], modules: Modules | None = None) -> Side:
    """What decides by some packs together, and remembers. Raises `Unfit`."""
    reading = YamlPacks(modules)
    rules = reading.compose(packs)
    ruleset = compose([load_pack(files) for files in packs])
    module = reading.modules.module(ruleset.custom)
    policy = WasmPolicy(module, ruleset.data, ruleset.revision)
    remembering = CachedPolicy(policy, ruleset.reads, ruleset.instants, size=REMEMBERED)
    return Side(rules, remembering)
