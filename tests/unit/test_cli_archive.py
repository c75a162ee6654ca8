"""The archive on the command line: what is queried in it is what the ledger holds."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import duckdb
import orjson
import pytest

from gateway.adapters.store.keys import NewKey
from gateway.wiring import Gateway
from tests.exchanges import chat_request
from tests.unit.server.wire import Wire
from tests.unit.test_cli import Shell
from tests.unit.test_cli_query import listed, serve


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(tmp_path, monkeypatch)


def ask(shell: Shell, *texts: str) -> None:
    """One exchange for each text; all of it is in the log then."""

    async def run(gateway: Gateway) -> None:
        key, _ = await gateway.keys.create(NewKey(team="t", app="shop"))
        for text in texts:
            body = orjson.dumps(chat_request(text) | {"model": "replay-small"})
            wire = Wire(headers={"authorization": f"Bearer {key}"}, body=body)
            await gateway.app(wire.scope, wire.receive, wire.send)

    serve(shell.folder, run)


def rows(folder: Path, what: str) -> list[tuple[object, ...]]:
    files = f"read_parquet('{folder}/*/*/*.parquet', hive_partitioning = true)"
    with duckdb.connect() as connection:
        return list(connection.execute(f"SELECT {what} FROM {files}").fetchall())


def test_counts_and_sums_are_the_ledgers(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    ask(shell, "One.", "Write to ann@example.org.")
    assert shell.good("audit", "archive", "--to", str(folder)).startswith("2 exchanges in")
    ask(shell, "Three.")
    assert shell.good("audit", "archive", "--to", str(folder)).startswith("1 exchanges in 1 files")
    assert shell.good("audit", "archive", "--to", str(folder)).startswith("0 exchanges in 0 files")
    known = listed(shell)
    ((count, ids, cost, read, said),) = rows(
        folder,
        "count(*), count(DISTINCT exchange_id), sum(cost_micro_usd), sum(input_tokens), "
        "sum(output_tokens)",
    )
    assert count == ids == len(known) == 3
    assert cost == sum(one["cost_micro_usd"] for one in known)
    assert read == sum(one["input_tokens"] for one in known)
    assert said == sum(one["output_tokens"] for one in known)
    months = {(int(one["ts"][:4]), int(one["ts"][5:7])) for one in known}
    assert {(int(str(y)), int(str(m))) for y, m in rows(folder, "DISTINCT year, month")} == months
    found = {str(each) for (each,) in rows(folder, "DISTINCT unnest(findings)")}
    assert found == {value for one in known for value in one["tags"].get("finding", [])}
    assert found


def test_nothing_that_was_said_is_in_it(shell: Shell, tmp_path: Path) -> None:
    ask(shell, "Porcupines for ann@example.org.")
    shell.good("audit", "archive", "--to", str(tmp_path / "kept"))
    told = str(rows(tmp_path / "kept", "* EXCLUDE (started_at, ended_at)"))
    assert "orcupine" not in told
    assert "ann@" not in told


def test_a_row_names_its_leaves(shell: Shell, tmp_path: Path) -> None:
    ask(shell, "One.")
    shell.good("audit", "archive", "--to", str(tmp_path / "kept"))
    ((id, indexes, hashes),) = rows(tmp_path / "kept", "exchange_id, leaf_indexes, leaf_hashes")
    entries = json.loads(shell.good("audit", "show", str(id), "--json"))["entries"]
    assert list(indexes) == [entry["position"] for entry in entries]  # type: ignore[call-overload]
    assert shell.good("audit", "log", "proof", hashes[-1]).startswith("c2sp.org/tlog-proof")  # type: ignore[index]


def test_that_it_is_handed_out_is_on_record(shell: Shell, tmp_path: Path) -> None:
    ask(shell, "One.")
    shell.good("audit", "archive", "--to", str(tmp_path / "kept"))

    async def nothing(gateway: Gateway) -> None:
        await asyncio.sleep(0)

    serve(shell.folder, nothing)
    text = shell.good("report", "soc2", "--format", "json")
    readings = next(r for r in json.loads(text)["rows"] if r["requirement"] == "CC6 (readings)")
    assert readings["figures"]["kinds"]["audit.export"] == 1


def test_a_place_that_is_none_is_said(shell: Shell) -> None:
    done = shell.run("audit", "archive", "--to", "ftp://host/x")
    assert done.exit_code == 1
    assert "no place for objects" in done.stderr
