"""The bench counts records where they rest."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import create_engine, insert

from bench import ledger
from gateway.adapters.store.tables import AuditEntry


def test_only_completed_exchanges_count(tmp_path: Path) -> None:
    assert ledger.completed(tmp_path) == 0
    engine = create_engine(f"sqlite:///{tmp_path / 'govgate.db'}")
    table = AuditEntry.__table__
    columns = [column for column in table.columns if not column.nullable]
    table.create(engine)
    filler = {
        column.name: b"" if column.type.python_type is bytes else column.type.python_type()
        for column in columns
    }
    ends = [
        ("opened", None),
        ("closed", "completed"),
        ("closed", "denied"),
        ("closed", "completed"),
    ]
    with engine.begin() as connection:
        for i, (kind, outcome) in enumerate(ends):
            row = filler | {"entry_id": str(i), "kind": kind, "outcome": outcome, "writer_seq": i}
            connection.execute(insert(table).values(row))
    engine.dispose()
    assert ledger.completed(tmp_path) == 2
