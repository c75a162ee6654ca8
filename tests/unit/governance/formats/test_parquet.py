"""Rows of a Parquet file: the types that the columns name, whatever a record says."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.archive import make_parquet
from gateway.governance.formats.parquet import COLUMNS, line
from gateway.governance.formats.view import View
from tests.unit.governance.formats.views import VIEWS, a_view

TIMES = ("ts", "ended_at")


def read_back(folder: Path, views: list[View]) -> list[dict[str, Any]]:
    """The rows of a file that is made of `views`; times are microseconds since 1970."""
    rows, file = folder / "rows.jsonl", folder / "rows.parquet"
    rows.write_bytes(b"".join(line(view) + b"\n" for view in views))
    make_parquet(rows, COLUMNS, file)
    micros = ", ".join(f"epoch_us({name}) AS {name}" for name in TIMES)
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT * REPLACE ({micros}) FROM read_parquet('{file}')")
        names = [each[0] for each in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def test_every_member_has_a_column() -> None:
    assert tuple(COLUMNS) == View.__struct_fields__


@given(st.lists(VIEWS, max_size=4))
def test_what_is_read_is_what_the_views_say(
    tmp_path_factory: pytest.TempPathFactory, views: list[View]
) -> None:
    rows = read_back(tmp_path_factory.mktemp("rows"), views)
    assert len(rows) == len(views)
    for row, view in zip(rows, views, strict=True):
        for name, told in msgspec.to_builtins(view).items():
            match name:
                case "ts" | "ended_at":
                    moment = datetime.fromisoformat(told)
                    assert row[name] == round(moment.timestamp() * 1_000) * 1_000
                case "findings" | "answer_findings":
                    assert msgspec.json.decode(row[name]) == told
                case "leaves":
                    assert row[name] == [list(each) for each in told]
                case _:
                    assert row[name] == plain(told), name


def plain(told: Any) -> Any:
    if isinstance(told, list):
        return [plain(each) for each in told]
    return told.replace("\x00", "\ufffd") if isinstance(told, str) else told


def test_types_are_those_of_the_columns(tmp_path: Path) -> None:
    assert read_back(tmp_path, []) == []
    with duckdb.connect() as connection:
        found = connection.execute(
            f"SELECT name, column_type FROM (DESCRIBE FROM '{tmp_path}/rows.parquet') d(name, "
            "column_type, a, b, c, e)"
        ).fetchall()
    told = {name: "TIMESTAMP WITH TIME ZONE" if kind == "TIMESTAMPTZ" else kind
            for name, kind in COLUMNS.items()}  # fmt: skip
    assert dict(found) == told


def test_an_act_has_its_facts_as_json(tmp_path: Path) -> None:
    act = a_view(kind="audit.read", facts={"exchange": "exc_1"}, ended_at=None)
    (row,) = read_back(tmp_path, [act])
    assert (row["facts"], row["ended_at"]) == ('{"exchange":"exc_1"}', None)


def test_an_altered_record_that_no_column_takes_stops_nobody(tmp_path: Path) -> None:
    odd = a_view(
        intact=False, ts="0001-01-01T00:00:00+14:00", ended_at="2026-11-22T10:00:00",
        cost_micro_usd=2**80, attempts=-5,
    )  # fmt: skip
    (row,) = read_back(tmp_path, [odd])
    moment = datetime(2026, 11, 22, 10, tzinfo=UTC)
    assert (row["ts"], row["cost_micro_usd"], row["attempts"]) == (None, None, -5)
    assert row["ended_at"] == int(moment.timestamp()) * 1_000_000
