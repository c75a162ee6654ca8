"""Checkpoints are put elsewhere, each once, and never replaced."""

from __future__ import annotations

import asyncio
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters import anchors as module
from gateway.adapters.anchors import Anchors, ObjectAnchor, plugged, public_name
from gateway.adapters.objects import open_objects
from gateway.adapters.store.log_keeper import LogKeeper
from gateway.core.merkle import Frontier
from gateway.core.note_keys import Signer
from gateway.core.notes import Checkpoint, checkpoint_of, sign
from gateway.core.objects import ObjectDiffers
from gateway.notary import open_anchors
from gateway.settings import Ledger, Settings
from tests.buckets import Bucket
from tests.contracts.journals import SqlLedger
from tests.databases import Database
from tests.unit.adapters.store.logs import ORIGIN, exchange, log_of

KEY = Signer.generate("log.example/1")


def note(*entries: bytes) -> str:
    frontier = Frontier()
    for entry in entries:
        frontier.append(entry.ljust(32))
    return sign(Checkpoint(KEY.name, frontier.size, frontier.root()).text(), KEY)


class Kept:
    """An anchor in memory, which fails while it is told to."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.notes: list[str] = []
        self.failure = failure

    async def keep(self, checkpoint: str) -> str:
        if self.failure is not None:
            raise self.failure
        self.notes.append(checkpoint)
        return f"at {len(self.notes)}"


async def test_each_checkpoint_is_an_object(tmp_path: Path) -> None:
    place = f"file://{tmp_path}/kept"
    anchor = ObjectAnchor(open_objects(place, {}), place + "/")
    for written in (note(b"a"), note(b"a", b"b"), note(b"a", b"b")):
        reference = await anchor.keep(written)
        size = checkpoint_of(written).size
        assert reference == f"{place}/log.example/1/{size:016}.checkpoint"
        file = tmp_path / "kept" / "log.example" / "1" / f"{size:016}.checkpoint"
        assert file.read_text() == written
    assert len(list((tmp_path / "kept").rglob("*.checkpoint"))) == 2


async def test_two_histories_of_one_size_are_found_out(tmp_path: Path) -> None:
    anchor = ObjectAnchor(open_objects(f"file://{tmp_path}/kept", {}), "x")
    await anchor.keep(note(b"a"))
    with pytest.raises(ObjectDiffers):
        await anchor.keep(note(b"b"))


async def test_a_locked_bucket_keeps_what_it_has(bucket: Bucket) -> None:
    place = bucket.url("anchors")
    anchor = ObjectAnchor(open_objects(place, bucket.access), place)
    await anchor.keep(note(b"a"))
    with pytest.raises(ObjectDiffers):
        await anchor.keep(note(b"b"))
    ((key, version),) = bucket.versions()
    assert bucket.delete(key, version) == 403


async def test_one_that_fails_harms_no_other() -> None:
    good, bad = Kept(), Kept(OSError("gone"))
    anchors = Anchors({"good": good, "bad": bad})
    assert await anchors.keep("note", ["good", "bad"]) == {"good": "at 1"}
    assert anchors.problems == {"bad": "OSError: gone"}
    bad.failure = None
    assert await anchors.keep("note", ["bad"]) == {"bad": "at 1"}
    assert not anchors.problems


async def test_every_anchor_gets_each_new_checkpoint_once(
    database: Database, keyring: Any, tmp_path: Path
) -> None:
    slow, quick = Kept(OSError("gone")), Kept()
    anchors = Anchors({"slow": slow, "quick": quick})
    async with SqlLedger.on(database.url, keyring) as ledger:
        log = log_of(ledger, tmp_path)
        keeper = LogKeeper(log, ledger.journal.between, None, anchors)
        await keeper.anchor(anchors)
        assert not quick.notes  # nothing is signed yet
        await exchange(ledger)
        log.catch_up()
        await keeper.anchor(anchors)
        await keeper.anchor(anchors)
        slow.failure = None
        await keeper.anchor(anchors)
        assert slow.notes == quick.notes
        assert len(quick.notes) == 1
        await exchange(ledger)
        log.catch_up()
        await keeper.anchor(anchors)
        size = log.state.size
        assert [checkpoint_of(each).size for each in quick.notes] == [size // 2, size]
        assert checkpoint_of(quick.notes[0]).origin == ORIGIN
        assert log.anchored() == {"slow": size, "quick": size}
        assert log.state.anchored == size
        again = log_of(ledger, tmp_path)
        assert (again.state.anchored, log.state.anchored_at is None) == (size, False)
        again.close()
        log.close()


def test_a_plugin_is_found_by_its_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    said = EntryPoint("tsa", f"{__name__}:plugin", "govgate.anchors")

    def installed(*, group: str, name: str) -> list[EntryPoint]:
        return [said] if (group, name) == ("govgate.anchors", "tsa") else []

    monkeypatch.setattr(module, "entry_points", installed)
    found = plugged("tsa://stamp.example")
    assert isinstance(found, Plugin)
    assert found.url == "tsa://stamp.example"
    with pytest.raises(ValueError, match=r"0 installed packages .* rekor:") as refused:
        plugged("rekor://user:secret@log.example")
    assert "secret" not in str(refused.value)


class Plugin(Kept):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url


plugin = Plugin


def test_no_secret_is_in_a_name() -> None:
    assert public_name("tsa://u:p@h.example/x?token=t#f") == "tsa://h.example/x"
    assert public_name("file:///kept") == "file:///kept"


async def test_a_keeper_that_runs_anchors_by_itself(
    database: Database, keyring: Any, tmp_path: Path
) -> None:
    seen = asyncio.Event()

    class Told(Kept):
        async def keep(self, checkpoint: str) -> str:
            seen.set()
            return await super().keep(checkpoint)

    async with SqlLedger.on(database.url, keyring) as ledger:
        log = log_of(ledger, tmp_path)
        anchors = Anchors({"told": Told()})
        keeper = LogKeeper(
            log, ledger.journal.between, None, anchors, seconds=0.01, anchoring=0.01
        )  # fmt: skip
        await keeper.start()
        await exchange(ledger)
        async with asyncio.timeout(20):
            await seen.wait()
        await keeper.stop()
        log.close()


def test_the_settings_name_the_anchors(tmp_path: Path) -> None:
    place = f"file://{tmp_path}/kept"
    assert list(open_anchors(Settings(ledger=Ledger(anchors=(place,)))).names) == [place]
    for wrong in (("ftp://h/x",), ("kept",), (place, place)):
        with pytest.raises(ValueError, match="GOVGATE_LEDGER__ANCHORS"):
            open_anchors(Settings(ledger=Ledger(anchors=wrong)))
