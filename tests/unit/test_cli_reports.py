"""Reports on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.governance.reports.filling import FRAMEWORKS
from tests.unit.test_cli import Shell
from tests.unit.test_cli_archive import ask


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(tmp_path, monkeypatch)


@pytest.mark.parametrize("name", FRAMEWORKS)
@pytest.mark.parametrize("form", ["md", "json", "html"])
def test_each_report_has_each_requirement(shell: Shell, name: str, form: str) -> None:
    text = shell.good("report", name, "--format", form)
    assert not [each.ref for each in FRAMEWORKS[name].requirements if each.ref not in text]


def test_what_a_gateway_wrote_is_counted(shell: Shell, tmp_path: Path) -> None:
    ask(shell, "One.", "Write to ann@example.org.")
    file = tmp_path / "report.json"
    assert shell.good("report", "ai-act", "--format", "json", "--out", str(file)) == ""
    rows = {row["requirement"]: row for row in json.loads(file.read_text())["rows"]}
    first = rows["Art. 12(1)"]
    assert (first["figures"]["calls"], first["figures"]["calls_ended"]) == (2, 2)
    assert first["verdict"] == "met"
    assert rows["Art. 12(2)"]["figures"]["sent_with_revision"] == 2
    assert rows["Art. 12(2)"]["verdict"] == "met"
    assert rows["Art. 19(1), 26(6)"]["verdict"] == "partly"
    register = json.loads(shell.good("report", "gdpr-register", "--format", "json"))
    found = {row["requirement"]: row for row in register["rows"]}
    assert any("EMAIL" in name for name in found["Art. 30(1)(c)"]["figures"]["findings"])


def test_the_time_bounds_it(shell: Shell) -> None:
    ask(shell, "One.")
    text = shell.good("report", "iso42001", "--until", "2020-01-01", "--format", "json")
    told = json.loads(text)
    assert told["until"] == "2020-01-01T00:00:00Z"
    assert told["rows"][0]["figures"]["calls"] == 0
    assert told["rows"][0]["verdict"] == "gap"


BACKWARDS = ("--since", "2026-02-01", "--until", "2026-01-01")


@pytest.mark.parametrize("wrong", [("nis2",), ("soc2", "--since", "soon"), ("soc2", *BACKWARDS)])
def test_what_cannot_be_asked_is_refused(shell: Shell, wrong: tuple[str, ...]) -> None:
    assert shell.run("report", *wrong).exit_code == 2
