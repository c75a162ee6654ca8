"""The bench counts records where they rest."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from bench import ledger
from gateway.adapters.store.tables import AuditEntry, Row


def entry(number: int, kind: str, outcome: str | None) -> AuditEntry:
    return AuditEntry(
        entry_id=f"ent_{number}", exchange_id=f"exc_{number}", kind=kind, outcome=outcome,
        writer_epoch="w", writer_seq=number, ts=datetime.now(UTC), header=b"{}",
        leaf_hash=b"", team="t", app="a", key_id="k",
    )  # fmt: skip


def test_only_completed_exchanges_count(tmp_path: Path) -> None:
    assert ledger.completed(tmp_path) == 0
    engine = create_engine(f"sqlite:///{tmp_path / 'govgate.db'}")
    Row.metadata.create_all(engine)
    ends = [("opened", None), ("closed", "completed"), ("closed", "denied"), ("segment", None)]
    with Session(engine) as session:
        session.add_all(entry(i, kind, outcome) for i, (kind, outcome) in enumerate(ends * 2))
        session.commit()
    engine.dispose()
    assert ledger.completed(tmp_path) == 2
