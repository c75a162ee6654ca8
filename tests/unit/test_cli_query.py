"""Finding records on the command line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pytest

from gateway.adapters.store.keys import NewKey
from gateway.adapters.store.migrate import migrate
from gateway.settings import Settings
from gateway.wiring import Gateway, build
from tests.exchanges import chat_request
from tests.unit.server.wire import Wire
from tests.unit.test_cli import Shell

T = TypeVar("T")
CANARY = "canary.person@example.org"


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(tmp_path, monkeypatch)


def serve(folder: Path, work: Callable[[Gateway], Awaitable[T]]) -> T:
    """Do `work` on a gateway that then stops, and so has indexed all of it."""

    async def run() -> T:
        settings = Settings(data_dir=folder)
        migrate(settings.database_url)
        gateway = build(settings)
        await gateway.start()
        try:
            return await work(gateway)
        finally:
            await gateway.stop()

    return asyncio.run(run())


@pytest.fixture
def asked(shell: Shell) -> Wire:
    """One exchange about a person."""

    async def ask(gateway: Gateway) -> Wire:
        key, _ = await gateway.keys.create(NewKey(team="t", app="shop"))
        headers = {
            "authorization": f"Bearer {key}", "x-govgate-session-id": "call 7",
            "x-govgate-user": CANARY, "x-govgate-tags": f"trial,{CANARY}",
        }  # fmt: skip
        request = chat_request(f"Porcupines for {CANARY}.\x1b[31m") | {"model": "replay-small"}
        wire = Wire(headers=headers, body=orjson.dumps(request))
        await gateway.app(wire.scope, wire.receive, wire.send)
        return wire

    return serve(shell.folder, ask)


def listed(shell: Shell, *options: str) -> list[dict[str, Any]]:
    told: dict[str, Any] = json.loads(shell.good("audit", "query", "--json", *options))
    return list(told["exchanges"])


def test_exchanges_are_found(shell: Shell, asked: Wire) -> None:
    id = asked.headers["x-request-id"]
    for options in (
        [], ["--app", "shop"], ["--app", "x", "--app", "shop"], ["--since", "1h"],
        ["--since", "2020-01-01", "--until", "2100-01-01T00:00+01:00"], ["--text", "porcupines"],
        ["--user", f"user:{CANARY}"], ["--value", CANARY], ["--ended"], ["--exclude", "app=x"],
        ["--session", "call 7"], ["--finding", "pii:EMAIL_ADDRESS"],
        ["--served-model", "replay-small"],
    ):  # fmt: skip
        assert [one["exchange_id"] for one in listed(shell, *options)] == [id], options
    for options in (["--app", "x"], ["--until", "1h"], ["--exclude", "app=shop"], ["--open"],
                    ["--cost-from", "5"], ["--org", "other"]):  # fmt: skip
        assert listed(shell, *options) == [], options
    assert id in shell.good("audit", "query")


@pytest.mark.parametrize(
    "options",
    [
        ["--since", "yesterday"], ["--cost-from", "dear"], ["--exclude", "app"], ["--limit", "0"],
        ["--exclude", "what=x"], ["--after", "nowhere"], ["--app", ""],
    ],
)  # fmt: skip
def test_nonsense_is_refused_in_words(shell: Shell, options: list[str]) -> None:
    shell.bad("audit", "query", *options)


def test_nothing_in_clear_is_printed_but_by_inspect(shell: Shell, asked: Wire) -> None:
    id = asked.headers["x-request-id"]
    decision = asked.headers["x-govgate-decision"]
    printed = ""
    for arguments in (["query"], ["show", id], ["show", decision], ["explain", id],
                      ["session", "call 7"]):  # fmt: skip
        printed += shell.good("audit", *arguments) + shell.good("audit", *arguments, "--json")
    assert CANARY not in printed
    assert id in printed
    assert "The policy allowed it." in printed
    told = shell.good(
        "inspect", id, "--reason", "case 7", "--as", "ann", "--part", "request_received"
    )
    assert CANARY in told
    assert "\x1b" not in told
    act = told.partition("entry ")[2].partition(")")[0]
    records = serve(shell.folder, lambda gateway: _act(gateway, act))
    assert records.header["key_id"] == "cli:ann"
    assert records.header["facts"] == {"exchange_id": id, "parts": ["request_received"]}
    assert records.parts == {"reason": b"case 7"}


async def _act(gateway: Gateway, entry_id: str) -> Any:
    act = await gateway.auditing.search.find("default", entry_id)
    assert act is not None
    [entry] = await gateway.records.read_exchange(act)
    return entry


def test_what_is_not_there_is_said(shell: Shell, asked: Wire) -> None:
    id = asked.headers["x-request-id"]
    for arguments in (
        ["audit", "show", "x"], ["audit", "explain", "x"], ["audit", "session", "x"],
        ["audit", "show", id, "--org", "other"], ["inspect", "x", "--reason", "why"],
        ["inspect", id, "--reason", " "], ["inspect", id, "--reason", "y", "--part", "x"],
    ):  # fmt: skip
        shell.bad(*arguments)


def test_the_index_can_be_made_again(shell: Shell, asked: Wire) -> None:
    before = listed(shell)
    assert "indexed: " in shell.good("audit", "reindex")
    assert listed(shell) == before
    assert listed(shell, "--text", "porcupines") == before


def test_a_key_has_the_roles_it_was_given(shell: Shell) -> None:
    shell.created("--role", "auditor", "--role", "viewer")
    assert shell.listed()[0]["roles"] == ["auditor", "viewer"]
    shell.bad("keys", "create", "--app", "x", "--role", "emperor")
