"""Parquet files say what they were given."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, fields
from datetime import UTC, datetime

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.archive import COLUMNS, parquet
from gateway.core.archive import ArchivedExchange

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
NUMBER = st.integers(0, 2**62)
TIME = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
ROWS = st.builds(
    ArchivedExchange,
    **{name: TEXT for name in ("exchange_id", "org", "team", "app", "key_id")},
    **{name: TIME for name in ("started_at", "ended_at")},
    **{
        name: st.none() | TEXT
        for name in (
            "action", "model", "provider", "served_model", "outcome", "code", "effect",
            "decision_id", "policy_revision",
        )
    },
    **{name: st.lists(TEXT, max_size=3) for name in ("rules", "labels", "findings")},
    **{name: st.none() | NUMBER for name in ("input_tokens", "output_tokens", "elapsed_us")},
    cost_micro_usd=NUMBER,
    cost_exact=st.none() | st.booleans(),
    attempts=st.integers(0, 100),
    leaf_indexes=st.lists(NUMBER, max_size=3),
    leaf_hashes=st.lists(TEXT, max_size=3),
)  # fmt: skip


def test_every_field_has_a_column() -> None:
    assert list(COLUMNS) == [field.name for field in fields(ArchivedExchange)]


@given(rows=st.lists(ROWS, min_size=1, max_size=4))
def test_what_is_read_is_what_was_written(
    rows: list[ArchivedExchange], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("rows") / "rows.parquet"
    file.write_bytes(asyncio.run(parquet(rows)))
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute(
            f"SELECT * REPLACE (epoch_us(started_at) AS started_at, epoch_us(ended_at) AS ended_at)"
            f" FROM read_parquet('{file}')"
        )
        names = [each[0] for each in found.description or ()]
        read = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    assert read == [_as_read(row) for row in rows]


def _as_read(row: ArchivedExchange) -> dict[str, object]:
    times = {name: _micros(getattr(row, name)) for name in ("started_at", "ended_at")}
    return asdict(row) | times


def _micros(moment: datetime) -> int:
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
