"""`govgate keyring`: what it shows, seals and unseals, and when it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.adapters.keyring import Keyring, header_of
from tests.sealing import KMS_ACCESS, TOKEN, Kms, Transit
from tests.unit.test_cli import Shell


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(tmp_path, monkeypatch)


@pytest.fixture
def path(shell: Shell) -> Path:
    return shell.folder / "keyring.json"


def by_vault(shell: Shell, transit: Transit) -> None:
    shell.setenv("GOVGATE_KEYRING__SEAL", transit.seal())
    shell.setenv("GOVGATE_KEYRING__VAULT_TOKEN", TOKEN)


def by_kms(shell: Shell, kms: Kms) -> None:
    shell.setenv("GOVGATE_KEYRING__SEAL", f"awskms:{kms.key}")
    shell.setenv("GOVGATE_KEYRING__KMS_ENDPOINT", kms.endpoint)
    for name, value in KMS_ACCESS.items():
        shell.setenv(name, value)


def test_it_shows_ids_and_seal_and_asks_nobody(shell: Shell, path: Path, transit: Transit) -> None:
    assert "the first start makes one" in shell.bad("keyring", "show")
    made = Keyring.open(path, None)
    (kek,) = made.keks
    assert shell.good("keyring", "show").splitlines() == [
        f"keyring  {made.id}", "seal     none: its secrets are in the clear", f"key      {kek}",
    ]  # fmt: skip
    by_vault(shell, transit)
    shell.good("keyring", "seal")
    asked = len(transit.asked)
    shown = json.loads(shell.good("keyring", "show", "--json"))
    assert shown == {"id": made.id, "seal": transit.seal(), "keys": [kek]}
    assert len(transit.asked) == asked


def test_sealing_and_unsealing(shell: Shell, path: Path, transit: Transit) -> None:
    made = Keyring.open(path, None)
    assert "GOVGATE_KEYRING__SEAL is not set" in shell.bad("keyring", "seal")
    assert "GOVGATE_KEYRING__SEAL is not set" in shell.bad("keyring", "unseal")
    by_vault(shell, transit)
    assert "is not sealed" in shell.bad("keyring", "unseal")
    assert f"{made.id}: sealed by {transit.seal()}" in shell.good("keyring", "seal")
    before = path.read_bytes()
    transit.rotate()
    shell.good("keyring", "seal")  # anew, under the service's newest key
    assert path.read_bytes() != before
    assert "vault:v2:" in path.read_text()
    assert "in the clear" in shell.good("keyring", "unseal")
    assert Keyring.open(path, made.id) == made


def test_from_one_seal_to_another(
    shell: Shell, path: Path, transit: Transit, kms: Kms, tmp_path: Path
) -> None:
    made = Keyring.open(path, None)
    by_vault(shell, transit)
    shell.good("keyring", "seal")
    sealed = path.read_bytes()
    by_kms(shell, kms)
    assert f"it was sealed by {transit.seal()}" in shell.bad("keyring", "seal")
    assert "--from: " in shell.bad("keyring", "seal", "--from", "vault:nowhere")
    shell.setenv("GOVGATE_KEYRING__VAULT_TOKEN", "")
    assert "VAULT_TOKEN" in shell.bad("keyring", "seal", "--from", transit.seal())
    token = tmp_path / "token"
    token.write_text("hvs.wrong\n")
    told = ("keyring", "seal", "--from", transit.seal(), "--from-token-file", str(token))
    assert "refuses the token" in shell.bad(*told)
    assert path.read_bytes() == sealed
    token.write_text(f"{TOKEN}\n")
    assert f"sealed by awskms:{kms.key}" in shell.good(*told)
    assert header_of(path.read_bytes()) == (made.id, tuple(made.keks), f"awskms:{kms.key}")
    shell.good("keys", "list")  # opens it
    assert "--from-token-file is for --from" in shell.bad("keyring", "seal", *told[4:])


def test_a_service_that_is_away_changes_nothing(shell: Shell, path: Path, transit: Transit) -> None:
    Keyring.open(path, None)
    before = path.read_bytes()
    by_vault(shell, transit)
    transit.sealed = True
    said = shell.bad("keyring", "seal")
    assert "unseal it" in said
    assert TOKEN not in said
    assert path.read_bytes() == before


def test_other_commands_say_why_they_cannot_open_it(
    shell: Shell, path: Path, transit: Transit
) -> None:
    shell.good("keys", "list")
    by_vault(shell, transit)
    assert "govgate keyring seal" in shell.bad("keys", "list")
    shell.good("keyring", "seal")
    transit.token = "hvs.another"
    said = shell.bad("keys", "list")
    assert "the token: has it expired" in said
    assert TOKEN not in said
    transit.stop()
    assert "cannot be reached" in shell.bad("keys", "list")


def test_a_new_one_is_sealed_from_its_first_moment(
    shell: Shell, path: Path, transit: Transit
) -> None:
    by_vault(shell, transit)
    shell.good("keys", "list")
    assert header_of(path.read_bytes()).seal == transit.seal()
    assert "in the clear" not in shell.good("keyring", "show")
