"""Exports and sinks through the gateway as it is built, and on the command line."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.adapters.sinks.file import FileSink
from gateway.cli import main
from gateway.core.exports import Delivery
from gateway.core.roles import Role
from gateway.settings import Settings
from gateway.wiring import build
from tests.exchanges import chat_request
from tests.integration.test_finding_records import CANARY, Site
from tests.unit.server.wire import Wire

ASKED = 3


@pytest.fixture
async def site(tmp_path: Path) -> Site:
    """Where three exchanges were made, with a person in each, and all is signed."""
    made = Site(tmp_path, f"sqlite:///{tmp_path}/govgate.db")
    async with made.running() as gateway:
        for _ in range(ASKED):
            messages = [{"role": "user", "content": f"Write to {CANARY}"}]
            assert (await made.ask(gateway, chat_request() | {"messages": messages})).status == 200
    return made


async def got(site: Site, path: str, query: str = "", role: str = Role.AUDITOR) -> Wire:
    async with site.running() as gateway:
        headers = {"authorization": f"Bearer {await site.key(gateway, role)}"}
        wire = Wire(method="GET", path=path, headers=headers)
        wire.scope["query_string"] = query.encode()

        async def send(message: Any) -> None:
            await wire.send(message)
            if wire.over:
                wire.gone.set()  # as servers do, whose receive then says that it is over

        await gateway.app(wire.scope, wire.receive, send)
        return wire


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    monkeypatch.setenv("GOVGATE_DATA_DIR", str(folder))
    return CliRunner().invoke(main, ["audit", *arguments])


def exchanges(text: str) -> list[dict[str, Any]]:
    return [one for one in map(json.loads, text.splitlines()) if one["kind"] == "exchange"]


async def test_records_over_http_say_what_happened_and_nothing_that_was_said(site: Site) -> None:
    for format in ("jsonl", "csv", "ocsf", "cef", "otel"):
        wire = await got(site, "/api/v1/export", f"format={format}&limit=1000")
        assert wire.status == 200
        assert CANARY.encode() not in wire.body
        assert int(wire.headers["x-govgate-next-leaf"]) >= ASKED * 3
        assert wire.headers["x-govgate-export-entry"].startswith("ent_")
    told = exchanges((await got(site, "/api/v1/export")).body.decode())
    assert [one["outcome"] for one in told] == ["completed"] * ASKED
    assert all(one["served_model"] == "replay-small" and one["effect"] for one in told)
    assert all(one["input_tokens"] and one["intact"] for one in told)


async def test_the_cursor_goes_on_where_it_ended(site: Site) -> None:
    seen: list[str] = []
    place = 0
    for _ in range(4):
        wire = await got(site, "/api/v1/export", f"from_leaf={place}&limit=4")
        seen += [one["exchange_id"] for one in exchanges(wire.body.decode())]
        goes_on = int(wire.headers["x-govgate-next-leaf"])
        assert place < goes_on <= place + 4
        place = goes_on
    assert len(seen) == len(set(seen)) == ASKED


@pytest.mark.parametrize("query", ["format=xml", "limit=x", "limit=0", "from_leaf=-1", "what=1"])
async def test_what_cannot_be_asked_is_400(site: Site, query: str) -> None:
    assert (await got(site, "/api/v1/export", query)).status == 400


async def test_who_has_no_role_for_it_gets_nothing(site: Site) -> None:
    assert (await got(site, "/api/v1/export", role=Role.ADMIN)).status == 403
    assert (await got(site, "/api/v1/sinks", role=Role.ADMIN)).json["sinks"] == []
    assert (await got(site, "/api/v1/sinks", role=Role.VIEWER)).status == 403


def test_the_command_line_exports_and_goes_on(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor, out = tmp_path / "cursor", tmp_path / "out.csv"
    said = run(tmp_path, monkeypatch, "export", "--format", "csv", "--out", str(out),
               "--cursor", str(cursor), "--reason", "audit 7")  # fmt: skip
    assert said.exit_code == 0, said.output
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert len([row for row in rows if row["kind"] == "exchange"]) == ASKED
    assert int(cursor.read_text()) >= ASKED * 3
    again = run(tmp_path, monkeypatch, "export", "--format", "jsonl", "--out",
                str(tmp_path / "more"), "--cursor", str(cursor))  # fmt: skip
    assert again.exit_code == 0, again.output
    assert exchanges((tmp_path / "more").read_text()) == []
    twice = run(tmp_path, monkeypatch, "export", "--format", "csv", "--out", str(out))
    assert twice.exit_code == 1


def test_a_bundle_is_made_and_proved_on_the_command_line(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = str(tmp_path / "evidence.zip")
    made = run(tmp_path, monkeypatch, "export", "--format", "bundle", "--out", out)
    assert made.exit_code == 0, made.output
    state = run(tmp_path, monkeypatch, "log", "state").output
    key = state.split()[1]
    proved = run(tmp_path, monkeypatch, "verify", out, "--log", key)
    assert (proved.exit_code, proved.output.count("good: root")) == (0, 1)
    content = Path(out).read_bytes()
    assert CANARY.encode() not in content
    at = len(content) // 3
    Path(out).write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
    assert run(tmp_path, monkeypatch, "verify", out, "--log", key).exit_code == 1
    gone = str(tmp_path / "none.zip")
    refused = run(tmp_path, monkeypatch, "export", "--format", "bundle", "--out", gone,
                  "--exchange", "exc_unknown")  # fmt: skip
    assert refused.exit_code == 1
    assert "not in the log" in refused.output
    assert not Path(gone).exists()


def test_sinks_that_cannot_be_built_are_refused(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "sinks.yaml"
    monkeypatch.setenv("GOVGATE_SINKS", str(file))
    monkeypatch.setenv("HOOK_SECRET", "c2hvcnQ=")
    hook = "{name: h, kind: webhook, url: 'https://%s/', secret: {env: %s}}"
    for sink, said in (
        ("{name: f, kind: s3, bucket: b}", "GOVGATE_SINKS"),
        ("{name: f, kind: file, path: /nonexistent/folder/x}", "no folder"),
        (hook % ("example.org", "HOOK_SECRET"), "fewer than 24"),
        (hook % ("example.org", "NOT_THERE"), "NOT_THERE"),
        ("{name: s, kind: syslog, host: a, ca: /nonexistent/ca.pem}", "No such file"),
    ):
        file.write_text(f"sinks: [{sink}]")
        result = run(tmp_path, monkeypatch, "sinks")
        assert result.exit_code == 1
        assert said in result.output, result.output


async def test_a_gateway_sends_to_its_sinks_by_itself(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, records = tmp_path / "sinks.yaml", tmp_path / "records.jsonl"
    file.write_text(f"sinks: [{{name: archive, kind: file, path: {records}}}]")
    arrived, send = asyncio.Event(), FileSink.send

    async def sent(sink: FileSink, delivery: Delivery) -> None:
        await send(sink, delivery)
        if len(exchanges(records.read_text())) == ASKED:
            arrived.set()

    monkeypatch.setattr(FileSink, "send", sent)
    gateway = build(Settings(data_dir=tmp_path, sinks=file))
    await gateway.start()
    try:
        async with asyncio.timeout(60):
            await arrived.wait()
    finally:
        await gateway.stop()
    assert CANARY not in records.read_text()
