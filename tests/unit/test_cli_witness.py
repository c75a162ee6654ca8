"""`govgate witness`: keys that are made once, starts that are refused, nothing of a gateway."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.core.notes import Algorithm, CoSigner, Verifier
from tests.witnessing import LOG, WITNESS

ROOT = Path(__file__).parents[2]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["witness", *map(str, arguments)])


def test_a_key_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "key"
    told = run("key", "witness.example/w1", file)
    assert told.exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    made = CoSigner.decoded(file.read_text().strip())
    assert told.output == f"{made.verifier.encoded()}\n"
    assert Verifier.decoded(told.output.strip()).algorithm is Algorithm.COSIGNATURE


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    file = tmp_path / "key"
    run("key", "witness.example/w1", file)
    before = file.read_text()
    told = run("key", "witness.example/w2", file)
    assert told.exit_code == 1
    assert "no key is replaced" in told.output
    assert file.read_text() == before


@pytest.mark.parametrize(("name", "file"), [("a b", "key"), ("a", "missing/key")])
def test_a_key_that_cannot_be_made_is_said(tmp_path: Path, name: str, file: str) -> None:
    told = run("key", name, tmp_path / file)
    assert told.exit_code == 1
    assert "Error: " in told.output
    assert not list(tmp_path.iterdir())


@pytest.fixture
def ready(tmp_path: Path) -> dict[str, str]:
    """Options of a witness that could start."""
    (tmp_path / "data").mkdir()
    key = tmp_path / "key"
    key.write_text(WITNESS.encoded())
    key.chmod(0o600)
    return {"--key": str(key), "--log": LOG.verifier.encoded(), "--data": str(tmp_path / "data")}


@pytest.mark.parametrize("missing", ["--key", "--log", "--data"])
def test_it_wants_all_it_needs(ready: dict[str, str], missing: str) -> None:
    del ready[missing]
    told = run(*(word for pair in ready.items() for word in pair))
    assert told.exit_code == 2
    assert "needs --key, --data, and a --log" in told.output


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--key", "{tmp}/nowhere", "No such file"),
        ("--key", "{tmp}/open", "chmod 600"),
        ("--key", "{tmp}/log", "not for this kind of signature"),
        ("--key", "{tmp}/nonsense", "not a private key"),
        ("--log", "nonsense", "not written as name+hash+base64"),
        ("--log", WITNESS.verifier.encoded(), "not a log's"),
        ("--data", "{tmp}/nowhere", "is not a folder"),
    ],
)
def test_it_does_not_start_with_what_is_wrong(
    ready: dict[str, str], tmp_path: Path, option: str, value: str, said: str
) -> None:
    for name, content, mode in (
        ("open", WITNESS.encoded(), 0o644),
        ("log", LOG.encoded(), 0o600),
        ("nonsense", "nön\x00sense", 0o600),
    ):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(mode)
    ready[option] = value.replace("{tmp}", str(tmp_path))
    told = run(*(word for pair in ready.items() for word in pair))
    assert told.exit_code == 1
    assert "cannot start: " in told.output
    assert said in told.output
    assert "PRIVATE" not in told.output


def test_it_needs_nothing_of_a_gateway(tmp_path: Path) -> None:
    """No settings, no database, no policy engine: it runs on another host."""
    absent = ("gateway.settings", "gateway.wiring", "gateway.adapters.store", "sqlalchemy",
              "gateway.adapters.opa", "presidio_anonymizer")  # fmt: skip
    program = (
        "import sys\n"
        f"for name in {absent}: sys.modules[name] = None\n"
        "import gateway.server.witness, gateway.server.telling\n"
        "from gateway.cli_witness import witness\n"
        "witness()\n"
    )
    command = [sys.executable, "-c", program, "key", "witness.example/w1", str(tmp_path / "key")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("witness.example/w1+")
