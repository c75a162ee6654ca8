"""The pages that people follow: every command of them is run, and prints what they say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from gateway.cli import main
from tests.contracts.policy_server import opa_binary
from tests.houses import ROOT, House, embedded

TUTORIAL = (ROOT / "docs/tutorials/first-policy.md").read_text()
CUSTOM = (ROOT / "docs/howto/custom-rule.md").read_text()
GIT = (ROOT / "docs/howto/policies-in-git.md").read_text()
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_STEP = re.compile(r"^## (\d+)\. (.*)$", re.MULTILINE)
MOST_STEPS = 10


class Terminal:
    """A shell that keeps what it is told, as a person's does."""

    def __init__(self, house: House, folder: Path) -> None:
        self.house = house
        self.folder = folder
        (folder / ".venv").symlink_to(ROOT / ".venv")

    def run(self, blocks: list[tuple[bool, str]]) -> None:
        """Run a page's commands in one shell; each block's output stands by itself."""
        script: list[str] = []
        told = self.house
        for number, (runs, text) in enumerate(blocks):
            if runs:
                here = text.replace("127.0.0.1:8080", f"127.0.0.1:{told.port}")
                script.append(f"exec > out.{number} 2>&1\n{here}")
        done = subprocess.run(
            ["bash", "-e", "-u", "-c", "\n".join(script)],
            cwd=self.folder, env=told.env, capture_output=True, text=True, check=False, timeout=900,
        )  # fmt: skip
        outputs = sorted(self.folder.glob("out.*"), key=lambda path: int(path.suffix[1:]))
        last = outputs[-1].read_text() if outputs else done.stderr
        assert done.returncode == 0, last
        self.check(blocks)

    def check(self, blocks: list[tuple[bool, str]]) -> None:
        """Hold what was printed against what the page says that it prints."""
        before = ""
        for number, (runs, text) in enumerate(blocks):
            if runs:
                before = (self.folder / f"out.{number}").read_text()
                continue
            at = 0
            for line in text.splitlines():
                pieces = [re.escape(piece.strip()) for piece in line.split("…")]
                found = re.compile(".*".join(pieces)).search(before, at)
                assert found, f"{line!r} is not in:\n{before}"
                at = found.end()


def blocks_of(page: str) -> list[tuple[bool, str]]:
    """The blocks of code of a page, and whether each is to be run or is what is printed."""
    known = [(kind, text) for kind, text in _BLOCK.findall(page) if kind in ("sh", "")]
    return [(kind == "sh", text) for kind, text in known]


def program(page: str, kind: str) -> str:
    """The one block of code of a page that is of a kind."""
    (found,) = [text for told, text in _BLOCK.findall(page) if told == kind]
    return str(found)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    house = embedded(tmp_path / "data")
    house.folder.mkdir()
    house.start()
    (tmp_path / "checkout").mkdir()
    yield Terminal(house, tmp_path / "checkout")
    house.stop()


def test_a_person_who_has_never_seen_rego_bans_a_topic(terminal: Terminal) -> None:
    steps = _STEP.findall(TUTORIAL)
    assert [int(number) for number, _ in steps] == list(range(1, len(steps) + 1))
    assert len(steps) <= MOST_STEPS
    blocks = blocks_of(TUTORIAL)
    assert blocks[0] == (False, ".venv/bin/govgate serve\n")  # it runs already
    terminal.run(blocks[1:])


def test_policies_in_git(terminal: Terminal) -> None:
    identity = {"GIT_AUTHOR_NAME": "ann", "GIT_AUTHOR_EMAIL": "ann@example.org"}
    terminal.house.env |= identity | {
        "GIT_COMMITTER_NAME": "ann",
        "GIT_COMMITTER_EMAIL": "ann@example.org",
        "GIT_CONFIG_GLOBAL": "/dev/null",
    }
    subprocess.run(["git", "init", "-q"], cwd=terminal.folder, check=True)
    blocks = blocks_of(GIT)
    phrase = '.venv/bin/govgate policy edit add-phrase policies/baseline weapons en "a red door"\n'
    merge = next(n for n, (runs, text) in enumerate(blocks) if runs and "publish" in text)
    blocks[merge] = (True, phrase + "git commit -q -a -m 'A merge'\n" + blocks[merge][1])
    terminal.run(blocks)
    assert (
        "the blue folder" in (terminal.folder / "policies/baseline/lists/weapons.yaml").read_text()
    )


def test_a_kind_of_rule_of_ones_own(terminal: Terminal) -> None:
    terminal.house.env["GOVGATE_POLICY__OPA_BINARY"] = opa_binary()
    terminal.run(blocks_of(CUSTOM))
    missing = {**terminal.house.env, "GOVGATE_POLICY__OPA_BINARY": "no-such-opa"}
    done = subprocess.run(
        [".venv/bin/govgate", "policy", "check", "ceilings"],
        cwd=terminal.folder, env=missing, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "GP-1508" in done.stdout
    assert "GOVGATE_POLICY__OPA_BINARY" in done.stdout


def test_ci_publishes_over_http(terminal: Terminal) -> None:
    house, pack = terminal.house, terminal.folder / "words"
    files = {"id": "words", "version": "1.0.0", "title": "Words", "policy_api": 1}
    pack.mkdir()
    (pack / "pack.yaml").write_text(yaml.safe_dump(files))
    here = program(GIT, "python").replace(
        "https://govgate.example.org", house.base_url.removesuffix("/v1")
    )
    env = {**house.env, "GOVGATE_KEY": house.key("--role=policy_author")}
    command = [sys.executable, "-", str(pack), "a1b2c3d policies/words"]
    done = subprocess.run(
        command, env=env, input=here, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(house.run("policy", "release", done.stdout.strip(), "--json").stdout)
    assert (told["state"], set(told["packs"])) == ("waiting", {"baseline", "words"})
    packs = house.run("policy", "packs").stdout
    assert re.search(r"^words +git +not in force", packs, re.MULTILINE)


def test_the_workflow_names_commands_that_there_are() -> None:
    jobs = yaml.safe_load(program(GIT, "yaml"))["jobs"]
    runs = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    commands = [run.split()[1:3] for run in runs if run.startswith("govgate ")]
    assert [command for _, command in commands] == ["check", "test", "publish", "import"]
    group = main.commands["policy"]
    assert isinstance(group, click.Group)
    assert {command for _, command in commands} <= group.commands.keys()
