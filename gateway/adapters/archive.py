"""Parquet files, made with DuckDB in memory: of exchanges, and of any rows that are JSON."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import orjson

from gateway.core.archive import ArchivedExchange

COLUMNS = {
    "exchange_id": "VARCHAR",
    "started_at": "TIMESTAMPTZ",
    "ended_at": "TIMESTAMPTZ",
    "org": "VARCHAR",
    "team": "VARCHAR",
    "app": "VARCHAR",
    "key_id": "VARCHAR",
    "action": "VARCHAR",
    "model": "VARCHAR",
    "provider": "VARCHAR",
    "served_model": "VARCHAR",
    "outcome": "VARCHAR",
    "code": "VARCHAR",
    "effect": "VARCHAR",
    "decision_id": "VARCHAR",
    "policy_revision": "VARCHAR",
    "rules": "VARCHAR[]",
    "labels": "VARCHAR[]",
    "findings": "VARCHAR[]",
    "input_tokens": "BIGINT",
    "output_tokens": "BIGINT",
    "cost_micro_usd": "BIGINT",
    "cost_exact": "BOOLEAN",
    "attempts": "INTEGER",
    "elapsed_us": "BIGINT",
    "leaf_indexes": "BIGINT[]",
    "leaf_hashes": "VARCHAR[]",
}
"""The columns of `ArchivedExchange`, as DuckDB calls their types."""


class NoParquet(ValueError):
    """Parquet cannot be written: DuckDB is not installed."""


async def parquet(exchanges: Sequence[ArchivedExchange]) -> bytes:
    """A Parquet file of these, in their order, compressed with zstd. Raises `NoParquet`."""
    return await asyncio.to_thread(_parquet, exchanges)


def check_parquet() -> None:
    """Raise `NoParquet` where no file could be made."""
    try:
        import duckdb  # noqa: F401
    except ImportError as error:
        raise NoParquet("Parquet needs DuckDB: install requirements/archive.txt") from error


def make_parquet(lines: Path, columns: Mapping[str, str], file: Path) -> None:
    """Make `file` of the rows in `lines`, each a JSON object, in their order.

    `columns` are names and the types that DuckDB gives them. Raises `NoParquet`.
    """
    check_parquet()
    import duckdb

    typed = ", ".join(f"{name}: '{type_}'" for name, type_ in columns.items())
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
        connection.execute(
            f"COPY (SELECT * FROM read_json('{_quoted(lines)}', "  # noqa: S608
            f"format = 'newline_delimited', columns = {{{typed}}})) "
            f"TO '{_quoted(file)}' (FORMAT parquet, COMPRESSION zstd)"
        )


def _parquet(exchanges: Sequence[ArchivedExchange]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="govgate-archive-") as folder:
        lines, file = Path(folder, "rows.jsonl"), Path(folder, "rows.parquet")
        lines.write_bytes(b"".join(orjson.dumps(asdict(each)) + b"\n" for each in exchanges))
        make_parquet(lines, COLUMNS, file)
        return file.read_bytes()


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
