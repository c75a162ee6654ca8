"""The key that OPA servers verify with, printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from gateway.adapters.bundle_key import BundleKey
from gateway.cli import main


def test_it_is_printed_and_made_when_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOVGATE_DATA_DIR", str(tmp_path))
    printed = [CliRunner().invoke(main, ["policy", "bundle-key"]) for _ in range(2)]
    assert [each.exit_code for each in printed] == [0, 0]
    assert printed[0].stdout == printed[1].stdout
    load_pem_public_key(printed[0].stdout.encode())
    key = BundleKey.open(tmp_path / "policy-bundle.key")
    assert key.public_pem == printed[0].stdout


def test_a_key_that_others_may_use_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key"
    BundleKey.open(path)
    path.chmod(0o644)
    monkeypatch.setenv("GOVGATE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GOVGATE_POLICY__BUNDLE_KEY", str(path))
    said = CliRunner().invoke(main, ["policy", "bundle-key"])
    assert said.exit_code == 1
    assert said.stdout == ""
    assert "chmod 600" in said.stderr
    assert said.stderr.count("\n") == 1
