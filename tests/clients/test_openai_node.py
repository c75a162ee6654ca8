"""The official `openai` package for Node. Its tests are in openai.test.mjs; this runs them."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from gateway.core.money import usd
from tests.clients.callers import BLOCKED, MODEL, PRICED, REFUSED, ended, make_key
from tests.clients.fleet import NODE, installed
from tests.houses import House

HERE = Path(__file__).parent
TESTS = HERE / "openai.test.mjs"
NAMED = re.compile(r"^test\('", re.MULTILINE)


def test_openai_for_node(house: House, key: str, tmp_path: Path) -> None:
    installed(NODE)
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
        [NODE, "--test", "--test-reporter=tap", str(TESTS)],
        cwd=HERE, env=told, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    count = len(NAMED.findall(TESTS.read_text()))
    assert f"\n# pass {count}\n" in done.stdout, "each test ran, none was skipped"
    assert ended(house, aborted.read_text())["outcome"] == "cancelled"
