"""Every table there is, in one import."""

from __future__ import annotations

from gateway.adapters.store import erasure_tables, log_tables, policy_tables, search_tables
from gateway.adapters.store.tables import Row

__all__ = ["Row", "erasure_tables", "log_tables", "policy_tables", "search_tables"]
