"""Drafts from the command line: begun, written to a folder, saved, compared, handed in."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.adapters.packs import read_folder
from gateway.cli import main
from gateway.cli_policy_desk import by, over
from gateway.core.roles import Role
from gateway.settings import baseline_pack


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, beside which is a database with the shipped pack in force."""
    monkeypatch.setenv("GOVGATE_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    over(lambda known: known.rollouts.begin(read_folder(baseline_pack())))
    return tmp_path


def run(*arguments: str | Path, fails: bool = False) -> str:
    done: Result = CliRunner().invoke(main, ["policy", *map(str, arguments)])
    assert (done.exit_code != 0) is fails, done.output
    if fails:
        assert isinstance(done.exception, SystemExit), done.exception
        return done.output
    return done.stdout


def test_who_is_at_the_command_line_has_every_role() -> None:
    assert (by("ann").key_id, by("ann").roles) == ("cli:ann", (Role.ADMIN,))


def test_a_draft_goes_out_to_a_folder_and_comes_back(folder: Path) -> None:
    pack = folder / "pack"
    draft = run("new", "baseline", "--to", pack, "--as", "ann", "--note", "a red door").strip()
    assert draft.startswith("drf_")
    assert read_folder(pack) == read_folder(baseline_pack())
    assert "not empty" in run("new", "baseline", "--to", pack, fails=True)
    assert run("diff", draft) == "no rule changes\n"
    run("edit", "add-phrase", pack, "weapons", "en", "the red door")
    assert run("save", draft, pack, "--as", "bob") == f"saved: {draft}, edition 2\n"
    assert "edition" in run("save", draft, pack, "--edition", "1", fails=True)
    said = run("diff", draft)
    assert "phrases.weapons.deny: changed" in said
    assert "  + phrases: the red door" in said
    assert said.endswith("2 changed; nothing more may pass than before\n")
    data = json.loads(run("diff", draft, "--json"))
    assert data["widening"] is False
    shown = run("draft", draft, "--to", folder / "again")
    assert "saved by: cli:ann, cli:bob" in shown
    assert read_folder(folder / "again") == read_folder(pack)
    assert json.loads(run("draft", draft, "--json"))["files"] == read_folder(pack)
    assert f"{draft}  baseline  edition 2  by cli:bob" in run("drafts")
    patch = run("propose", draft)
    assert patch.startswith("diff --git a/lists/weapons.yaml b/lists/weapons.yaml")
    release = run("submit", draft, "--as", "ann").strip()
    assert release.startswith("rel_")
    assert run("drafts") == ""
    assert "no draft" in run("draft", draft, fails=True)


def test_a_draft_that_lets_more_pass_says_so(folder: Path) -> None:
    pack = folder / "pack"
    draft = run("new", "baseline", "--to", pack).strip()
    run("edit", "set", pack, "phrases.weapons.deny", "mode", "observe")
    run("save", draft, pack)
    said = run("diff", draft)
    assert "  more may pass: it is not enforced any more" in said
    assert said.endswith("1 changed; more may pass than before\n")
    assert "pii.contact.mask" not in said
    assert run("diff", draft, "--locale", "fr") != said
    # the tests of the pack say that it refuses, so it cannot be handed in as it is
    assert "tests fail" in run("submit", draft, fails=True)


def test_a_draft_that_cannot_be_used_says_where(folder: Path) -> None:
    pack = folder / "pack"
    draft = run("new", "baseline", "--to", pack).strip()
    (pack / "rules" / "bad.yaml").write_text("id: bad\nkind: phrsae\n")
    run("save", draft, pack)
    said = run("diff", draft, fails=True)
    assert re.search(r"^rules/bad\.yaml:\d", said, re.MULTILINE)
    assert json.loads(run("diff", draft, "--json", fails=True))["problems"]
    assert "rules/bad.yaml" in run("submit", draft, fails=True)
    assert run("drop", draft) == f"dropped: {draft}\n"
    assert run("drafts", "--json").strip() == "[]"


def test_a_folder_is_taken_as_a_draft_or_held_against_what_is_in_force(folder: Path) -> None:
    pack = folder / "pack"
    run("export", "baseline", "--to", pack)
    assert run("import", pack, "--check") == f"{pack} is what is in force\n"
    run("edit", "add-phrase", pack, "weapons", "en", "the red door")
    assert run("import", pack, "--check", fails=True) == f"differs: {pack}/lists/weapons.yaml\n"
    draft = run("import", pack, "--as", "ann").strip()
    assert (
        "the red door" in json.loads(run("draft", draft, "--json"))["files"]["lists/weapons.yaml"]
    )
    (folder / "empty").mkdir()
    assert "pack.yaml" in run("import", folder / "empty", fails=True)


@pytest.mark.usefixtures("folder")
def test_a_test_needs_an_exchange_that_there_was() -> None:
    draft = run("new", "baseline").strip()
    assert "no question" in run("add-test", draft, "exc_1", "--name", "x", fails=True)


@pytest.mark.usefixtures("folder")
def test_where_files_decide_nothing_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVGATE_POLICY__PACK", str(baseline_pack()))
    assert "GOVGATE_POLICY__PACK" in run("new", "baseline", fails=True)
