"""An erasure whose process is killed is complete once another has started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.adapters.keyring import Keyring
from gateway.adapters.store.erasure_tables import SubjectKey, ValueKey
from gateway.adapters.store.tables import table
from gateway.core.records import Kind
from tests.databases import Database
from tests.erasures import ANN, OFFICER, office

ROOT = Path(__file__).parents[3]
POINTS = ["line", "commit", "record", "mark"]
"""Where it dies: before the commit, after it, before the destruction is on record, after it."""


def killed(url: str, folder: Path, of: str, what: str, point: str) -> None:
    command = [sys.executable, "-m", "tests.unit.governance.erasing", url, str(folder), of, what]
    done = subprocess.run([*command, point], cwd=ROOT, check=False, timeout=60)
    assert done.returncode == -9


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize(("of", "what"), [("subject", "user:ann"), ("value", ANN.text)])
async def test_what_was_begun_is_done_by_the_next_to_start(
    database: Database, keyring: Keyring, tmp_path: Path, of: str, what: str, point: str
) -> None:
    async with office(database.url, keyring, tmp_path) as desk:
        anns, bobs = await desk.exchange("user:ann"), await desk.exchange("user:bob", ANN)
    killed(database.url, tmp_path, of, what, point)
    async with office(database.url, keyring, tmp_path) as desk:
        gone = await desk.said(anns) is None, b"[erased]" in (await desk.said(bobs) or b"")
        assert gone == (of == "subject", of == "value")
        assert b"Canary" in (await desk.said(bobs) or b"")
        keys = table(SubjectKey if of == "subject" else ValueKey)
        with desk.store.engine.connect() as connection:
            dead = connection.execute(select(keys).where(keys.c.wrapped.is_(None))).all()
        assert [row.recorded_at is None for row in dead] == [False]
        told = await desk.acts(Kind.KEY_DESTROYED)
        assert {tuple(entry.facts["keys"]) for entry in told} == {(dead[0].key_id,)}
        assert len(told) == (2 if point == "mark" else 1)
        if of == "subject":
            again = await desk.erasures.erase_subject("acme", what, OFFICER, "asked again")
            assert again.keys == ()
        desk.check_leaves()
