"""The labels that findings may carry, by the kind of rule that speaks of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.inspectors.recognisers import LABELS

KNOWN_LABELS: Mapping[str, Sequence[str]] = {"pii": LABELS, "secret": ()}
"""Phrases carry the id of their list; nothing here looks for secrets."""
