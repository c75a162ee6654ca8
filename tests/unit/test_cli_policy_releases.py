"""Releases from the command line: judged by others, tried, brought into force, taken back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.test_cli_policy_drafts import folder as folder
from tests.unit.test_cli_policy_drafts import run


def handed_in(folder: Path, phrase: str) -> str:
    """A release with a phrase more, by ann."""
    pack = folder / phrase.replace(" ", "-")
    draft = run("new", "baseline", "--to", pack, "--as", "ann").strip()
    run("edit", "add-phrase", pack, "weapons", "en", phrase)
    run("save", draft, pack, "--as", "ann")
    return run("submit", draft, "--note", phrase, "--as", "ann").strip()


def test_a_release_from_approval_to_rollback(folder: Path) -> None:
    first = json.loads(run("releases", "--json"))[0]["id"]
    id = handed_in(folder, "the red door")
    assert "approved by 0 of 1" in run("activate", id, "--as", "bob", fails=True)
    assert "worked on" in run("approve", id, "--as", "ann", fails=True)
    wrong = run("approve", id, "--revision", "sha256:x", "--as", "bob", fails=True)
    assert "look at that" in wrong
    assert run("approve", id, "--as", "bob", "--comment", "yes") == f"approved: {id}, 1 of 1\n"
    shown = run("release", id)
    assert "  + phrases: the red door" in shown
    assert "tests: 13 run, 0 failed" in shown
    assert "approved by cli:bob  yes" in shown
    assert json.loads(run("release", id, "--json"))["state"] == "approved"
    assert f"asked beside: {id}" in run("shadow", id)
    tried = run("canary", id, "--percent", "5", "--team", "risk", "--key", "k1", "--why", "try")
    assert f"on trial: {id}, for 5 percent, team risk, key k1" in tried
    assert "on trial" not in run("canary", "--end")
    assert run("shadow", "--end") == f"rollout 5: {first} is in force\n"
    assert run("activate", id, "--why", "now") == f"rollout 6: {id} is in force\n"
    assert run("rollback", "--why", "oops") == f"rollout 7: {first} is in force\n"
    assert run("rollback", "--to", id) == f"rollout 8: {id} is in force\n"


def test_a_release_that_was_rejected_is_reopened(folder: Path) -> None:
    id = handed_in(folder, "the red door")
    assert run("reject", id, "--comment", "too broad", "--as", "bob") == f"rejected: {id}\n"
    assert f"{id}  rejected" in run("releases")
    assert "rejected" in run("approve", id, "--as", "cy", fails=True)
    draft = run("reopen", id, "--as", "ann").strip()
    assert (
        "the red door" in json.loads(run("draft", draft, "--json"))["files"]["lists/weapons.yaml"]
    )


def test_breaking_the_glass_is_shown_as_a_debt(folder: Path) -> None:
    id = handed_in(folder, "the red door")
    assert f"{id} is in force" in run("break-glass", id, "--reason", "fire", "--as", "root")
    assert f"came into force unapproved: {id}" in run("status")
    run("approve", id, "--as", "bob")
    assert "unapproved" not in run("status")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["activate", "rel_x"], "there is no release"),
        (["shadow"], "give RELEASE, or --end"),
        (["shadow", "rel_x", "--end"], "give RELEASE, or --end"),
        (["canary", "--end"], "no release is on trial"),
        (["rollback"], "nothing was in force before"),
        (["break-glass", "rel_x", "--reason", " "], "a reason is needed"),
        (["retire", "baseline"], "one pack at least"),
        (["retire", "nowhere"], "no pack"),
    ],
)
def test_what_cannot_be_is_refused_in_words(arguments: list[str], said: str) -> None:
    assert said in run(*arguments, fails=True)
