"""Packs made up at random, as what decides takes them."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from gateway.core.policies import PackFiles
from gateway.governance.policies.replay import Side
from gateway.replaying import side_of
from tests.contracts.policy_cases import LISTS, pack

WORDS = {"weapons": ["a gun"], "rivals": ["acme"]}


def pack_files(
    documents: dict[str, Any], phrases: dict[str, list[str]] | None = None
) -> dict[str, str]:
    """The files of a pack: JSON is YAML."""
    said = WORDS | (phrases or {})
    lists = [{"id": id, "title": id, "phrases": {"en": said[id]}} for id in LISTS]
    manifest = {"id": "made-up", "version": "1.0.0", "title": "Made up", "policy_api": 1}
    files = {
        "pack.yaml": json.dumps(manifest),
        "lists/all.yaml": "\n---\n".join(map(json.dumps, lists)),
        "exceptions.yaml": json.dumps(documents.get("exceptions", [])),
    }
    if rules := documents["rules"]:
        files["rules/all.yaml"] = "\n---\n".join(map(json.dumps, rules))
    if attachments := documents.get("attachments"):
        files["attachments.yaml"] = json.dumps(attachments)
    return files


def made(dice: Random) -> PackFiles:
    return pack_files(pack(dice))


def side(documents: dict[str, Any], phrases: dict[str, list[str]] | None = None) -> Side:
    return side_of([pack_files(documents, phrases)])


ADMIT = {
    "id": "admit", "title": "All", "kind": "model_access", "mode": "enforce",
    "params": {"models": ["*"]}, "message": {"en": "Yes."},
}  # fmt: skip


def rule(id: str, kind: str, on_match: str | None = None, **params: Any) -> dict[str, Any]:
    """An enforced rule as it is written."""
    more = {} if on_match is None else {"on_match": on_match}
    said = {"id": id, "title": id, "kind": kind, "mode": "enforce", "message": {"en": "No."}}
    return {**said, "params": params, **more}
