"""What is in force, from the command line; and the packs that are changed in Git."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from gateway.adapters.packs import read_folder
from gateway.cli_policy_desk import over
from gateway.core.policies import Node
from gateway.core.shadows import Kind, Sample, Tally
from gateway.lifecycle import Lifecycle
from gateway.settings import baseline_pack
from tests.unit.test_cli_policy_drafts import folder as folder
from tests.unit.test_cli_policy_drafts import run


def runs(number: int, problem: str | None = None) -> None:
    """A gateway says what it runs."""
    node = Node("node_1", "host", "sha256:abc", number, 0, datetime.now(UTC), problem)
    over(lambda known: known.store.acknowledge(node))


@pytest.mark.usefixtures("folder")
def test_status_says_who_follows() -> None:
    assert "no gateway runs" in run("status")
    assert "no gateway runs" in run("status", "--wait", "0.01", fails=True)
    runs(0)
    assert "rollout 0, revision abc, stops 0: does not follow yet" in run("status")
    run("status", "--wait", "0.01", fails=True)
    runs(1, "it cannot be built")
    assert "it cannot be built" in run("status", "--wait", "0.01", fails=True)
    runs(1)
    said = run("status", "--wait", "5")
    assert "follows" in said
    told = json.loads(run("status", "--json"))
    assert told["acknowledged"] is True
    run("stop", "app", "shop", "--reason", "x")
    assert "does not follow yet" in run("status")


def test_the_report_of_a_shadow_is_read_over_all_gateways(folder: Path) -> None:
    assert "no release is asked beside" in run("shadow-report", fails=True)
    pack = folder / "pack"
    draft = run("new", "baseline", "--to", pack, "--as", "ann").strip()
    run("edit", "add-phrase", pack, "weapons", "en", "the red door")
    run("save", draft, pack, "--as", "ann")
    id = run("submit", draft, "--as", "ann").strip()
    run("shadow", id)
    assert run("shadow-report") == f"{id}: nothing was counted yet\n"
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    denied = (Sample("exc_1", Kind.NEWLY_DENIED),)
    one = Tally(id, "n1", noon, {Kind.SAME: 3, Kind.NEWLY_DENIED: 1}, 0, denied)
    for tally in (one, Tally(id, "n2", noon, {Kind.NOT_EVALUATED: 4}, 2)):
        over(partial(kept, tally))
    said = run("shadow-report", id)
    assert said == run("shadow-report")
    assert said.startswith(f"{id}, since 2026-11-23T12:00:00+00:00\n")
    for line in (
        "  same                   3   37.50%\n",
        "  newly_denied           1   12.50%\n",
        "  newly_allowed          0    0.00%\n",
        "  left out               2\n",
        "  decides otherwise: 25.00% (4.56% to 69.94% in 95 of 100 cases)\n",
        "  newly_denied   exc_1\n",
    ):
        assert line in said, said
    run("shadow", "--end")
    told = json.loads(run("shadow-report", id, "--json"))
    assert (told["rate"], told["counts"]["not_evaluated"]) == (0.25, 4)


def kept(tally: Tally, known: Lifecycle) -> Awaitable[None]:
    """A gateway keeps what it counted."""
    return known.tallies.keep(tally)


def test_before_anything_is_in_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVGATE_DATA_DIR", str(tmp_path))
    assert run("status").startswith("nothing is in force yet")
    assert run("history") == run("packs") == ""
    monkeypatch.setenv("GOVGATE_POLICY__PACK", str(baseline_pack()))
    assert "decide, and nothing else" in run("status")


def test_a_pack_of_git_is_published_and_read_only_here(folder: Path) -> None:
    pack = folder / "pack"
    assert "12 files changed" in run("export", "baseline", "--to", pack)
    assert "0 files changed" in run("export", "baseline", "--to", pack)
    (pack / "NOTES.md").write_text("mine\n")
    assert "1 files changed" in run("export", "baseline", "--to", pack)
    assert read_folder(pack) == read_folder(baseline_pack())
    assert run("own", "baseline", "git") == "baseline is changed in git from now on\n"
    assert "already" in run("own", "baseline", "git", fails=True)
    assert "changed in Git" in run("new", "baseline", fails=True)
    assert "already" in run("publish", pack, "--source", "a1b2c3d", fails=True)
    run("edit", "add-phrase", pack, "weapons", "en", "the red door")
    told = json.loads(run("publish", pack, "--source", "a1b2c3d packs", "--as", "ci", "--json"))
    assert told["widening"] is False
    run("approve", told["id"], "--as", "bob")
    run("activate", told["id"], "--as", "bob")
    assert "git      1.0.0" in run("packs")
    assert "a1b2c3d packs" in run("packs")
    assert json.loads(run("packs", "--json"))[0]["in_force"]["source"] == "a1b2c3d packs"
    assert [one["step"] for one in json.loads(run("history", "--json"))] == ["activated", "first"]
    assert "activated" in run("history", "--limit", "1")
    assert "first" not in run("history", "--limit", "1")


def test_an_export_does_not_write_over_what_is_no_pack(folder: Path) -> None:
    other = folder / "other"
    other.mkdir()
    (other / "thesis.md").write_text("ten years of work")
    assert "holds no pack" in run("export", "baseline", "--to", other, fails=True)
    assert (other / "thesis.md").read_text() == "ten years of work"
