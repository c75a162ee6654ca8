"""Something is stopped, seen to be, and let go on from the command line; each is on record."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.adapters.store.engine import open_engine
from gateway.cli import main
from gateway.core.policies import Stopped
from gateway.settings import Settings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOVGATE_DATA_DIR", str(tmp_path))
    return tmp_path


def run(*arguments: str, fails: bool = False) -> Result:
    done = CliRunner().invoke(main, ["policy", *arguments])
    assert (done.exit_code != 0) is fails, done.output
    return done


def standing() -> list[dict[str, str]]:
    listed: list[dict[str, str]] = json.loads(run("stops", "--json").stdout)
    return listed


def kinds(folder: Path) -> Sequence[str]:
    engine = open_engine(Settings(data_dir=folder).database_url)
    with engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT kind FROM audit_entry WHERE kind LIKE 'policy.%' ORDER BY entry_id"
        )
        told = [str(kind) for (kind,) in found]
    engine.dispose()
    return told


@pytest.mark.parametrize("what", Stopped)
def test_a_stop_stands_until_it_is_lifted(folder: Path, what: Stopped) -> None:
    name = [] if what is Stopped.EVERYTHING else ["shop-*"]
    id = run("stop", str(what), *name, "--reason", "it leaks", "--as", "ann").stdout.strip()
    (one,) = standing()
    assert one["id"] == id
    assert (one["what"], one["name"]) == (what, name[0] if name else "*")
    assert (one["by"], one["reason"]) == ("cli:ann", "it leaks")
    assert id in run("stops").stdout
    run("resume", id, "--reason", "it does not")
    assert standing() == []
    assert kinds(folder) == ["policy.stopped", "policy.resumed"]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "arguments",
    [
        ["stop", "app", "--reason", "no name"],
        ["stop", "everything", "shop", "--reason", "a name"],
        ["stop", "planet", "x", "--reason", "no such thing"],
        ["stop", "app", "x"],
        ["stop", "app", "x", "--reason", " "],
        ["resume", "stp_nothing", "--reason", "x"],
    ],
)
def test_what_makes_no_sense_is_refused_in_words(arguments: list[str]) -> None:
    done = run(*arguments, fails=True)
    assert done.stderr
    assert "Traceback" not in done.stderr
    assert standing() == []
