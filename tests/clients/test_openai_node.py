"""The official `openai` package for Node. Its tests are in openai.test.mjs; this runs them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

from gateway.core.money import usd
from tests.clients.callers import BLOCKED, MODEL, PRICED, REFUSED, ended, make_key
from tests.houses import House

HERE = Path(__file__).parent
TESTS = HERE / "openai.test.mjs"
NAMED = re.compile(r"^test\('", re.MULTILINE)


def missing(what: str) -> NoReturn:
    """Fail in CI, where everything must be there; elsewhere say what is not."""
    if os.environ.get("CI"):
        pytest.fail(f"missing: {what}")
    pytest.skip(f"missing: {what}")


def installed() -> str | None:
    """The version of the package that is there, if one is."""
    package = HERE / "node_modules" / "openai" / "package.json"
    return json.loads(package.read_text())["version"] if package.exists() else None


@pytest.fixture(scope="session")
def node() -> str:
    """Node, with the locked packages installed beside the tests."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None:
        missing("Node.js (on Debian: apt install nodejs npm)")
    if installed() != json.loads((HERE / "package.json").read_text())["dependencies"]["openai"]:
        if npm is None:
            missing("npm (on Debian: apt install npm)")
        command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            missing(f"the openai package for Node; npm ci said: {done.stderr}")
    return node


def test_openai_for_node(node: str, house: House, key: str, tmp_path: Path) -> None:
    aborted = tmp_path / "aborted"
    told = {
        "PATH": os.environ["PATH"],
        "BASE_URL": house.base_url,
        "API_KEY": key,
        "POOR_KEY": make_key(house, budget=usd("0.000001"))[0],
        "MODEL": MODEL,
        "PRICED": PRICED,
        "REFUSED": REFUSED,
        "BLOCKED": BLOCKED,
        "ABORTED": str(aborted),
    }
    done = subprocess.run(
        [node, "--test", "--test-reporter=tap", str(TESTS)],
        cwd=HERE, env=told, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    count = len(NAMED.findall(TESTS.read_text()))
    assert f"\n# pass {count}\n" in done.stdout, "each test ran, none was skipped"
    assert ended(house, aborted.read_text())["outcome"] == "cancelled"
