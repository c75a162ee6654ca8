"""Go's own implementation, built for the session and asked line by line."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parent


class Go:
    """What golang.org/x/mod/sumdb and transparency-dev/formats think."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def do(self, what: str, **told: Any) -> dict[str, Any]:
        """Its answer; `error` is empty when it agrees."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": what, **told}, default=_written) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def stop(self) -> None:
        self._process.communicate()


def _written(value: bytes) -> str:
    return base64.b64encode(value).decode()


def read(values: Sequence[str] | None) -> list[bytes]:
    """Hashes of an answer."""
    return [base64.b64decode(value) for value in values or ()]


@pytest.fixture(scope="session")
def go(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Go]:
    """The session's Go."""
    if shutil.which("go") is None:
        missing = "Go is not installed: proofs and notes are not compared with its own"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    program = tmp_path_factory.mktemp("crosscheck") / "crosscheck"
    command = ["go", "build", "-buildvcs=false", "-o", str(program), "."]
    done = subprocess.run(
        command, cwd=SOURCE, capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode != 0:
        missing = f"the Go program of tests/crosscheck cannot be built: {done.stderr}"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    running = Go(program)
    yield running
    running.stop()
