"""Erasing on the command line, of what a whole gateway has recorded."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import orjson
import pytest

from gateway.adapters.store.keys import NewKey
from gateway.adapters.store.records import StoredEntry
from gateway.settings import Settings
from gateway.wiring import Gateway
from tests.exchanges import chat_request
from tests.unit.server.wire import Wire
from tests.unit.test_cli import Shell
from tests.unit.test_wiring import running, send

T = TypeVar("T")
EMAIL, PHONE = "ann.canary@example.org", "+49 89 636 48018"
REASON = ("--reason", "asked for")


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(tmp_path, monkeypatch)


def with_gateway(folder: Path, work: Callable[[Gateway], Awaitable[T]]) -> T:
    async def run() -> T:
        async with running(Settings(data_dir=folder)) as gateway:
            return await work(gateway)

    return asyncio.run(run())


def asked(folder: Path, user: str, text: str, **headers: str) -> str:
    """One exchange of a user, through every stage; its id."""

    async def work(gateway: Gateway) -> str:
        key, _ = await gateway.keys.create(NewKey(team="t", app="shop"))
        sent = {"authorization": f"Bearer {key}", "x-govgate-user": user}
        sent |= {name.replace("_", "-"): said for name, said in headers.items()}
        body = orjson.dumps(chat_request(text) | {"model": "replay-small"})
        wire = await send(gateway, Wire(headers=sent, body=body))
        assert wire.status == 200
        return wire.headers["x-request-id"]

    return with_gateway(folder, work)


def read(folder: Path, id: str) -> Sequence[StoredEntry]:
    return with_gateway(folder, lambda gateway: gateway.records.read_exchange(id))


def received(folder: Path, id: str) -> bytes | None:
    return (read(folder, id)[0].parts or {}).get("request_received")


def resting(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_value_is_erased_wherever_it_stands(shell: Shell) -> None:
    folder = shell.folder
    id = asked(folder, "bob", f"Write to {EMAIL}, call {PHONE}.", idempotency_key="k-1")
    entries = read(folder, id)
    assert "values" in [part["part"] for part in entries[0].header["parts"]]
    assert EMAIL.encode() in (entries[0].parts or {})["request_received"]
    said = shell.good(
        "audit", "erase", "--value", EMAIL.upper(), "--label", "EMAIL_ADDRESS", *REASON
    )
    assert said.startswith("erased: vky_")
    assert "in 1 exchanges" in said
    for entry in read(folder, id):
        assert EMAIL.encode() not in b"".join((entry.parts or {}).values())
    assert f"Write to [erased], call {PHONE}.".encode() in (received(folder, id) or b"")
    assert "nothing on record" in shell.good("audit", "erase", "--value", EMAIL, *REASON)
    assert EMAIL.encode() not in resting(folder)


def test_a_person_is_erased_and_comes_again_as_another(shell: Shell) -> None:
    anns, bobs = (asked(shell.folder, user, f"I am {EMAIL}") for user in ("ann", "bob"))
    assert "in 1 exchanges" in shell.good("audit", "erase", "--subject", "user:ann", *REASON)
    assert received(shell.folder, anns) is None
    assert EMAIL.encode() in (received(shell.folder, bobs) or b"")
    again = asked(shell.folder, "ann", "It is me again.")
    assert b"again" in (received(shell.folder, again) or b"")
    pseudonyms = [read(shell.folder, id)[0].header["subject"] for id in (anns, again)]
    assert pseudonyms[0] != pseudonyms[1]


def test_a_hold_stands_against_erasing_until_another_lifts_it(shell: Shell) -> None:
    id = asked(shell.folder, "ann", "hello")
    hold = shell.good("audit", "hold", "place", "--app", "shop", "--since", "2020-01-01",
                      "--as", "ann", *REASON).strip()  # fmt: skip
    assert hold in shell.bad("audit", "erase", "--subject", "user:ann", *REASON)
    assert received(shell.folder, id) is not None
    assert "nobody has asked" in shell.bad("audit", "hold", "lift", hold, "--as", "ben")
    shell.good("audit", "hold", "ask-lift", hold, "--as", "ann")
    assert "another person" in shell.bad("audit", "hold", "lift", hold, "--as", "ann")
    assert "lift asked" in shell.good("audit", "hold", "list")
    shell.good("audit", "hold", "lift", hold, "--as", "ben")
    (row,) = json.loads(shell.good("audit", "hold", "list", "--json"))
    assert (row["state"], row["placed_by"], row["lifted_by"]) == ("lifted", "cli:ann", "cli:ben")
    assert set(row["scope"]) == {"app", "since"}
    shell.good("audit", "erase", "--subject", "user:ann", *REASON)
    assert received(shell.folder, id) is None


def test_a_person_is_told_all_that_is_on_record(shell: Shell, tmp_path: Path) -> None:
    ids = [asked(shell.folder, "ann", f"text {number} of {EMAIL}") for number in range(2)]
    asked(shell.folder, "bob", "not hers")
    shell.good("audit", "erase", "--value", EMAIL, *REASON)
    out = tmp_path / "export.json"
    told = shell.good("audit", "subject-export", "--subject", "user:ann", "--out", str(out))
    assert "2 exchanges" in told
    assert out.stat().st_mode & 0o777 == 0o600
    export = json.loads(out.read_text())
    assert [one["exchange_id"] for one in export["exchanges"]] == ids
    first = export["exchanges"][0]["entries"][0]
    assert "text 0 of [erased]" in first["parts"]["request_received"]["text"]
    assert "request_received" in first["erased_in"]
    assert "not hers" not in out.read_text()
    assert export["recorded_as"].startswith("ent_")
    again = shell.bad("audit", "subject-export", "--subject", "user:ann", "--out", str(out))
    assert "exists" in again


@pytest.mark.parametrize(
    "arguments",
    [
        ("erase", *REASON),
        ("erase", "--subject", "user:a", "--value", "b", *REASON),
        ("erase", "--subject", "user:a", "--label", "X", *REASON),
        ("erase", "--subject", "a", *REASON),
        ("erase", "--subject", "user:a", "--reason", " "),
        ("hold", "place", "--since", "soon", *REASON),
        ("hold", "place", "--reason", " "),
        ("hold", "lift", "hld_unknown"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(shell: Shell, arguments: tuple[str, ...]) -> None:
    assert shell.bad("audit", *arguments)


def test_a_gateway_that_serves_forgets_answers_when_others_erase(tmp_path: Path) -> None:
    """The command's process is another: the server learns of it from the database."""

    async def work(gateway: Gateway) -> list[str]:
        told: list[str] = []
        heard = asyncio.Event()
        gateway.journal.on_erasure.append(lambda: (told.append("erased"), heard.set()))
        key, _ = await gateway.keys.create(NewKey(team="t", app="shop"))
        sent = {"authorization": f"Bearer {key}", "x-govgate-user": "ann"}
        body = orjson.dumps(chat_request("hello") | {"model": "replay-small"})
        await send(gateway, Wire(headers=sent, body=body))
        shell = [
            sys.executable,
            "-m",
            "gateway",
            "audit",
            "erase",
            "--subject",
            "user:ann",
            *REASON,
        ]
        child = await asyncio.create_subprocess_exec(
            *shell, env={"GOVGATE_DATA_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
        )
        assert await child.wait() == 0
        await asyncio.wait_for(heard.wait(), 30)
        return told

    assert with_gateway(tmp_path, work) == ["erased"]
