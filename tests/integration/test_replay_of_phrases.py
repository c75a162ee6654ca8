"""A phrase that is banned now is found in what a gateway recorded before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.packs import read_folder
from gateway.core.audit import Filters
from gateway.core.principal import Principal
from gateway.core.replays import Wanted
from gateway.core.roles import Role
from gateway.replaying import open_replaying
from gateway.settings import Settings, baseline_pack
from gateway.wiring import DIALECTS, open_keyring
from tests.databases import Database
from tests.exchanges import chat_request
from tests.integration.test_finding_records import Site

ANN = Principal("default", "risk", "console", "k1", roles=(Role.POLICY_AUTHOR,))
LIST = "id: heron\ntitle: Heron\nphrases: {en: [Project Heron, canary.person]}\n"
RULE = """id: topics.heron
title: Heron
kind: phrase
mode: enforce
params: {direction: input, list: heron}
on_match: deny
message: {en: Not announced.}
"""
CLEAN = ("Tell me of herons.", "A projectheron, what is that?", "Herons project shadows.")
NAMED = ("A line about Project Heron", "PROJECT\nheron, please", "about **Project** Heron?")
MASKED = "Write to canary.person@example.org."
"""The phrase stands in an address alone, which is masked in the record."""


@pytest.fixture
def site(tmp_path: Path, database: Database) -> Site:
    return Site(tmp_path, database.url)


async def replayed(folder: Path, database: Database, files: dict[str, str]) -> Any:
    settings = Settings(data_dir=folder, database={"url": database.url})
    async with open_replaying(settings, open_keyring(settings), DIALECTS) as replaying:
        return await replaying.replays.of_files(files, ANN, Wanted(Filters(), 100))


async def test_exactly_those_are_denied_whose_text_has_the_phrase(
    site: Site, tmp_path: Path, database: Database
) -> None:
    ids = {}
    async with site.running() as gateway:
        for text in (*CLEAN, *NAMED, MASKED):
            asked = chat_request(text)
            for streamed in (False, True):
                told = await site.ask(gateway, {**asked, "stream": streamed})
                assert told.status == 200, told.body
                ids[text, streamed] = told.headers["x-request-id"]
    files = dict(read_folder(baseline_pack()))
    change = {**files, "lists/heron.yaml": LIST, "rules/heron.yaml": RULE}
    told = await replayed(tmp_path, database, change)
    assert (told["inspected"], told["newly_denied"], told["not_evaluated"]) == (14, 6, 0)
    named = {id for (text, _), id in ids.items() if text in NAMED}
    assert set(told["samples"]["newly_denied"]) == named
    assert told["top"]["newly_denied"]["rules"] == {"topics.heron": 6}
    assert told["unchanged"] == 8
    assert "canary" not in json.dumps(told).lower()
    assert "heron" not in json.dumps(told).lower().replace("topics.heron", "")
    # without the list, nothing is read
    told = await replayed(tmp_path, database, files)
    assert (told["inspected"], told["unchanged"]) == (0, 14)
