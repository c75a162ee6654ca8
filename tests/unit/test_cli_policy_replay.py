"""A change is replayed over what a gateway recorded, and rules are told, from the command line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.adapters.packs import read_folder, write_folder
from gateway.adapters.store.engine import open_engine
from gateway.adapters.store.keys import NewKey
from gateway.cli import main
from gateway.settings import Settings, baseline_pack
from gateway.wiring import build
from tests.exchanges import chat_request
from tests.integration.test_finding_records import Site

MAIL = "Write to ann.canary@example.org."
DENY = """---
id: test.no-mail
title: No addresses
kind: pii
mode: enforce
params: {direction: input, labels: [EMAIL_ADDRESS]}
on_match: deny
message: {en: No addresses.}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOVGATE_DATA_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def change(tmp_path: Path) -> str:
    """The shipped pack with one more rule."""
    place = tmp_path / "change"
    place.mkdir()
    files = read_folder(baseline_pack())
    write_folder(place, {}, {**files, "rules/test.yaml": DENY})
    return str(place)


def run(*arguments: str, fails: bool = False) -> Result:
    done = CliRunner().invoke(main, ["policy", *arguments])
    assert (done.exit_code != 0) is fails, done.output
    return done


def said(*arguments: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(run(*arguments, "--format", "json").stdout)
    return told


async def record(folder: Path, *texts: str) -> list[str]:
    """Exchanges of a gateway that then ends; their ids."""
    site = Site(folder, Settings(data_dir=folder).database_url)
    async with site.running() as gateway:
        told = [await site.ask(gateway, chat_request(text)) for text in texts]
    return [one.headers["x-request-id"] for one in told]


def noted(folder: Path) -> int:
    engine = open_engine(Settings(data_dir=folder).database_url)
    with engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT count(*) FROM audit_entry WHERE kind = 'policy.replay_run'"
        ).scalar_one()
    engine.dispose()
    return int(found)


def test_a_change_is_replayed_over_what_was_recorded(folder: Path, change: str) -> None:
    with_mail, _ = asyncio.run(record(folder, MAIL, "Hello."))
    told = said("replay", change, "--since", "1h")
    assert (told["replayed"], told["newly_denied"], told["unchanged"]) == (2, 1, 1)
    assert told["samples"] == {"newly_denied": [with_mail]}
    assert told["top"]["newly_denied"]["rules"] == {"test.no-mail": 1}
    assert told["cost_denied_micro_usd"] >= 0
    assert "canary" not in json.dumps(told)
    assert noted(folder) == 1
    text = run("replay", change).stdout
    assert with_mail in text
    assert "newly denied" in text
    assert noted(folder) == 2
    assert said("replay", change, "--app", "other")["replayed"] == 0
    assert said("replay", change, "--sample", "1")["replayed"] == 1
    assert said("replay", change, "--until", "2020-01-01")["replayed"] == 0
    same = said("replay", str(baseline_pack()))
    assert (same["unchanged"], same["then"]) == (2, {"unchanged": 2})


def test_an_explanation_tells_what_the_rules_do(folder: Path) -> None:
    """In the words of the revision that decided."""
    [id] = asyncio.run(record(folder, MAIL))
    done = CliRunner().invoke(main, ["audit", "explain", id])
    assert done.exit_code == 0, done.output
    assert "Rule models.all says: Every model may be used." in done.output
    assert done.output.count("Rule pii.contact.mask says: ") == 1
    assert "canary" not in done.output


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "arguments",
    [
        ["replay", "nowhere"],
        ["replay", "drf_nothing"],
        ["replay", "drf_nothing", "--most", "0"],
        ["effective", "--model", "m"],
        ["effective", "--model", "m", "--key", "nobody"],
        ["effective", "--model", "m", "--app", "a", "nowhere"],
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[str]) -> None:
    assert run(*arguments, fails=True).output.strip()


def test_rules_are_told_for_a_caller_and_a_model(folder: Path, change: str) -> None:
    told = said("effective", "--app", "shop", "--model", "replay-small")
    [target] = told["targets"]
    assert (target["hosting"], told["app"]) == ("local", "shop")
    rules = {one["rule"]: one for one in target["rules"]}
    assert rules["models.all"]["applies"] is True
    assert rules["models.all"]["sentence"] == "Every model may be used."
    assert "test.no-mail" not in rules
    text = run("effective", change, "--app", "shop", "--model", "replay-small").stdout
    assert "test.no-mail" in text
    assert "shop of team - asks replay-small at local" in text
    french = run("effective", "--app", "a", "--model", "replay-small", "--locale", "fr").stdout
    assert "Every model may be used." not in french
    placed = said("effective", "--app", "a", "--model", "replay-small", "--region", "eu")
    assert placed["targets"][0]["region"] == "eu"


def test_a_key_says_whose_it_is(folder: Path) -> None:
    async def key() -> str:
        Site(folder, Settings(data_dir=folder).database_url)
        gateway = build(Settings(data_dir=folder))
        await gateway.start()
        new = NewKey(team="red", app="shop", tags=("inside",), models=("other",))
        _, principal = await gateway.keys.create(new)
        await gateway.stop()
        return principal.key_id

    id = asyncio.run(key())
    told = said("effective", "--key", id, "--model", "replay-small", "--tag", "more")
    assert (told["app"], told["team"], told["tags"]) == ("shop", "red", ["inside", "more"])
    assert told["key_may_use"] is False
    assert (
        "may not use replay-small"
        in run("effective", "--key", id, "--model", "replay-small").stdout
    )
