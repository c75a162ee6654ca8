"""Exports and sinks through the gateway as it is built, and on the command line."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
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


async def got(
    site: Site, path: str, query: str = "", role: str = Role.AUDITOR, reason: str | None = None
) -> Wire:
    async with site.running() as gateway:
        headers = {"authorization": f"Bearer {await site.key(gateway, role)}"}
        if reason is not None:
            headers["x-govgate-reason"] = reason
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


async def test_what_was_said_is_told_masked_to_whoever_may_have_it(site: Site) -> None:
    query, path = "content=masked", "/api/v1/export"
    for role, reason, status in (
        (Role.AUDITOR, "case 7", 403),
        (Role.COMPLIANCE, None, 400),
        (Role.COMPLIANCE, "case%207", 200),
    ):
        wire = await got(site, path, query, role, reason)
        assert wire.status == status
    assert CANARY not in wire.body.decode()
    for one in exchanges(wire.body.decode()):
        content = one["content"]
        assert content["request"][0].split() == ["Write", "to", "[[EMAIL_ADDRESS_1]]"]
        assert (bool(content["answer"]), content["withheld"]) == (True, None)
    assert (await got(site, path, "content=raw", Role.COMPLIANCE, "x")).status == 400
    async with site.running() as gateway:
        noted = await gateway.records.read_exchange(await acted(site, wire))
    assert noted[0].header["facts"]["content"] == "masked"
    assert noted[0].parts == {"reason": b"case 7"}
    assert "content" not in exchanges((await got(site, path)).body.decode())[0]


async def acted(site: Site, wire: Wire) -> str:
    """The id that the act of an export stands under."""
    later = await got(site, "/api/v1/export")
    acts = [json.loads(line) for line in later.body.splitlines()]
    entry = wire.headers["x-govgate-export-entry"]
    (id,) = [one["exchange_id"] for one in acts if one["entry_id"] == entry]
    return str(id)


def test_the_command_line_tells_what_was_said_for_a_reason(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("export", "--format", "jsonl", "--content", "masked", "--out")
    out = tmp_path / "out.jsonl"
    refused = run(tmp_path, monkeypatch, *asked, str(out))
    assert (refused.exit_code, "Say why" in refused.output) == (1, True)
    assert not out.exists()
    done = run(tmp_path, monkeypatch, *asked, str(out), "--reason", "case 7")
    assert done.exit_code == 0, done.output
    assert CANARY not in out.read_text()
    told = [one["content"]["request"][0].split() for one in exchanges(out.read_text())]
    assert told == [["Write", "to", "[[EMAIL_ADDRESS_1]]"]] * ASKED
    bundle = ("export", "--format", "bundle", "--content", "masked", "--out", str(tmp_path / "z"))
    assert run(tmp_path, monkeypatch, *bundle).exit_code == 2


def test_a_parquet_file_has_the_rows_of_the_lists_and_goes_on(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor = ("--cursor", str(tmp_path / "cursor"))
    asked = ("export", "--format", "parquet", "--out")
    lines, file, more = (tmp_path / name for name in ("a.jsonl", "a.parquet", "more.parquet"))
    listed = run(tmp_path, monkeypatch, "export", "--format", "jsonl", "--out", str(lines))
    assert listed.exit_code == 0, listed.output
    made = run(tmp_path, monkeypatch, *asked, str(file), *cursor)
    assert made.exit_code == 0, made.output
    wanted = [json.loads(line) for line in lines.read_text().splitlines()]
    columns = "kind, exchange_id, leaves, model, provider, region, outcome, rules, cost_micro_usd"
    begun = {one["exchange_id"]: datetime.fromisoformat(one["ts"]) for one in wanted}
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT {columns} FROM '{file}' ORDER BY leaf_index").fetchall()
        times = connection.execute(f"SELECT exchange_id, epoch_ms(ts) FROM '{file}'").fetchall()
    rows = [dict(zip(columns.split(", "), row, strict=True)) for row in found[: len(wanted)]]
    assert rows == [{name: one[name] for name in rows[0]} for one in wanted]
    assert {id: ms for id, ms in times if id in begun} == {
        id: round(moment.timestamp() * 1_000) for id, moment in begun.items()
    }
    again = run(tmp_path, monkeypatch, *asked, str(more), *cursor)
    assert again.exit_code == 0, again.output
    with duckdb.connect() as connection:
        left = connection.execute(f"SELECT count(*) FROM '{more}' WHERE kind = 'exchange'")
        assert left.fetchone() == (0,)


def test_a_parquet_file_is_whole_or_not_there(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, cursor = tmp_path / "a.parquet", tmp_path / "cursor"
    asked = ("export", "--format", "parquet", "--cursor", str(cursor), "--out")

    def broken(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("gateway.cli_export.make_parquet", broken)
    failed = run(tmp_path, monkeypatch, *asked, str(out))
    assert (failed.exit_code, out.exists(), cursor.exists()) == (1, False, False)
    assert run(tmp_path, monkeypatch, *asked, "-").exit_code == 2


async def test_parquet_is_refused_over_http(site: Site) -> None:
    wire = await got(site, "/api/v1/export", "format=parquet")
    assert wire.status == 400
    assert "govgate audit export" in wire.body.decode()


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


async def sent(
    folder: Path, monkeypatch: pytest.MonkeyPatch, sink: str
) -> Sequence[dict[str, Any]]:
    """The lines that a gateway sends to a file by itself, up to the last exchange."""
    file, records = folder / "sinks.yaml", folder / "records.jsonl"
    file.write_text(f"sinks: [{{name: archive, kind: file, path: {records}{sink}}}]")
    arrived, send = asyncio.Event(), FileSink.send

    async def noticed(sink: FileSink, delivery: Delivery) -> None:
        await send(sink, delivery)
        if len(exchanges(records.read_text())) == ASKED:
            arrived.set()

    monkeypatch.setattr(FileSink, "send", noticed)
    gateway = build(Settings(data_dir=folder, sinks=file))
    await gateway.start()
    try:
        async with asyncio.timeout(60):
            await arrived.wait()
    finally:
        await gateway.stop()
    text = records.read_text()
    assert CANARY not in text
    return [json.loads(line) for line in text.splitlines()]


async def test_a_gateway_sends_to_its_sinks_by_itself(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not [line for line in await sent(tmp_path, monkeypatch, "") if "content" in line]


async def test_a_sink_gets_what_was_said_masked_and_that_is_on_record(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = await sent(tmp_path, monkeypatch, ", content: masked, reason: monitoring")
    told = [line["content"]["request"][0].split() for line in lines if line["kind"] == "exchange"]
    assert told == [["Write", "to", "[[EMAIL_ADDRESS_1]]"]] * ASKED
    acts = (await got(site, "/api/v1/export")).body.splitlines()
    (act,) = [one for one in map(json.loads, acts) if (one["facts"] or {}).get("of") == "sink"]
    assert (act["kind"], act["key_id"]) == ("audit.export", "gateway:sinks")
    assert act["facts"] == {
        "of": "sink", "sink": "archive", "format": "jsonl", "from_leaf": 0, "content": "masked",
    }  # fmt: skip
    async with site.running() as gateway:
        (entry,) = await gateway.records.read_exchange(act["exchange_id"])
    assert entry.parts == {"reason": b"monitoring"}
