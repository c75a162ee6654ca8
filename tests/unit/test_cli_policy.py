"""`govgate policy check|test|sentences|entities|edit`: what they print, change and exit with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.adapters.packs import read_folder, write_folder
from gateway.cli import main
from gateway.settings import baseline_pack, shipped_packs
from tests.unit.adapters.packs.samples import FILES

Run = Callable[..., Result]
TOPIC = """\
id: topics.support
title: Support gives no legal advice
kind: phrase
mode: enforce
when: {teams: [support]}
params: {direction: input, list: topics}
on_match: deny
message: {en: Please ask the legal department.}
"""
CASE = """\
name: support is refused
given: {team: support, findings: [{kind: phrase, label: topics}]}
expect: {effect: deny, rules: [topics.support]}
"""


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    write_folder(tmp_path / "mine", {}, FILES)
    return tmp_path / "mine"


def run(*words: str | Path, given: str | None = None) -> Result:
    return CliRunner().invoke(main, ["policy", *map(str, words)], input=given)


def test_the_shipped_pack_is_sound_and_its_tests_pass() -> None:
    checked = run("check", baseline_pack(), "--strict")
    assert checked.exit_code == 0, checked.output
    assert "no errors, 0 pieces of advice" in checked.output
    tested = run("test", baseline_pack())
    assert tested.exit_code == 0, tested.output
    assert "0 failed" in tested.output


def test_a_broken_pack_is_told_in_every_form(pack: Path) -> None:
    rule = pack / "rules" / "pii.yaml"
    rule.write_text(rule.read_text().replace("EMAIL", "EMIAL"))
    told = run("check", pack)
    assert told.exit_code == 1
    assert 'Did you mean "EMAIL_ADDRESS"' in told.output
    assert "1 error, 0 pieces of advice: it cannot be used" in told.output
    [problem] = json.loads(run("check", pack, "--format", "json").output)
    assert problem["code"] == "GP-1203"
    github = run("check", pack, "--format", "github")
    assert github.exit_code == 1
    assert github.output.startswith("::error file=")


def test_advice_fails_only_where_it_is_asked_to(pack: Path) -> None:
    (pack / "tests" / "pii.yaml").unlink()
    assert run("check", pack).exit_code == 0
    assert run("check", pack, "--strict").exit_code == 1
    assert run("test", pack).exit_code == 1, "no test at all"


def test_a_failed_test_says_why(pack: Path) -> None:
    failed = run("test", pack, "--with", baseline_pack())
    assert failed.exit_code == 1
    assert "failed: personal data: an address is masked" in failed.output
    assert "effect: expected deny, got allow" in failed.output


def test_entities_are_the_labels_that_are_known() -> None:
    assert "EMAIL_ADDRESS" in run("entities").output.splitlines()


def test_a_topic_is_banned_for_one_team_by_commands_alone(tmp_path: Path) -> None:
    own = tmp_path / "support"
    steps = [
        run("edit", "new-pack", own, "--title", "Support"),
        run("edit", "add-list", own, "topics", "--title", "Law", "--phrase", "sue my employer"),
        run("edit", "add-rule", own, "rules/topics.yaml", given=TOPIC),
        run("edit", "add-phrase", own, "topics", "fr", "attaquer mon employeur"),
        run("edit", "add-case", own, "topics", given=CASE),
        run("check", own, "--strict"),
        run("test", own, "--with", baseline_pack()),
    ]
    assert [step.exit_code for step in steps] == [0] * len(steps), [s.output for s in steps]
    said = run("sentences", own).output
    assert "For teams support: when a phrase of the list topics is found in a request" in said
    assert "équipes support" in run("sentences", own, "--locale", "fr").output


def test_edits_change_one_thing_and_tell_it(pack: Path) -> None:
    before = read_folder(pack)
    assert run("edit", "set", pack, "pii.mask", "params.min_score", "0.75").exit_code == 0
    changed = run("edit", "set", pack, "pii.mask", "params.labels[0]", "PHONE_NUMBER")
    assert "  + When PHONE_NUMBER is found" in changed.output
    assert run("edit", "unset", pack, "pii.mask", "params.min_score").exit_code == 0
    assert run("edit", "set", pack, "pii.mask", "params.labels", "[EMAIL_ADDRESS]").exit_code == 0
    assert read_folder(pack) == before
    until = ("--until", "2097-01-31T00:00:00Z", "--why", "A trial.", "--approved-by", "Ann")
    assert run("edit", "add-exception", pack, "x", "--rule", "pii.mask", *until).exit_code == 1
    added = run("edit", "add-exception", pack, "x", "--rule", "pii.mask", *until, "--team", "lab")
    assert "exception:x" in added.output
    assert run("edit", "remove-exception", pack, "x").exit_code == 0
    assert run("edit", "remove-rule", pack, "pii.mask").exit_code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("set", "pii.mask", "mode", "observed"),
        ("set", "pii.maks", "mode", "off"),
        ("set", "pii.mask", "mode", "["),
        ("remove-phrase", "rude", "en", "x"),
        ("new-pack", "--title", "Again"),
        ("add-rule", "rules/x.yaml"),
    ],
)
def test_what_would_break_the_pack_is_not_done(pack: Path, words: tuple[str, ...]) -> None:
    before = read_folder(pack)
    refused = run("edit", words[0], pack, *words[1:], given="[]")
    assert refused.exit_code == 1
    assert refused.output.strip()
    assert "Traceback" not in refused.output
    assert read_folder(pack) == before


def test_a_shipped_pack_is_copied_and_is_one(tmp_path: Path) -> None:
    assert "gdpr-privacy\n" in run("shipped").output
    copy = tmp_path / "copy"
    assert run("shipped", "gdpr-privacy", "--to", str(copy)).exit_code == 0
    assert read_folder(copy) == read_folder(shipped_packs() / "gdpr-privacy")
    assert run("shipped", "gdpr-privacy", "--to", str(copy)).exit_code == 2
    assert run("shipped", "none", "--to", str(tmp_path / "other")).exit_code == 2
