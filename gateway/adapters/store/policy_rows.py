"""Rows of policies as the domain has them, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, Table

from gateway.adapters.store.indexing import aware
from gateway.adapters.store.policy_tables import (
    PolicyApproval,
    PolicyDeed,
    PolicyDraft,
    PolicyNode,
    PolicyPack,
    PolicyRelease,
    PolicyRollout,
    PolicyStop,
    PolicyVersion,
)
from gateway.adapters.store.tables import table
from gateway.core.policies import (
    Approval,
    Canary,
    Draft,
    Node,
    Person,
    Release,
    Rollout,
    Step,
    Stop,
    Stopped,
    Version,
)

PACK, VERSION, DRAFT = table(PolicyPack), table(PolicyVersion), table(PolicyDraft)
RELEASE, APPROVAL, ROLLOUT = table(PolicyRelease), table(PolicyApproval), table(PolicyRollout)
STOP, NODE, DEED = table(PolicyStop), table(PolicyNode), table(PolicyDeed)


def but(of: Table, *names: str) -> list[Column[Any]]:
    """The columns of a table without some."""
    return [column for column in of.columns if column.name not in names]


def utc(moment: datetime) -> datetime:
    """A time as it is stored. Raises `ValueError` for one without a zone."""
    if moment.tzinfo is None:
        raise ValueError("a time needs its zone")
    return moment.astimezone(UTC)


def of_version(org: str, version: Version) -> dict[str, Any]:
    return {
        "org_id": org,
        "digest": version.digest,
        "pack": version.pack,
        "number": version.number,
        "files": dict(version.files),
        "author": version.author,
        "created_at": utc(version.created_at),
        "source": version.source,
    }


def version(row: Any) -> Version:
    return Version(
        row.digest,
        row.pack,
        row.number,
        row._mapping.get("files", {}),
        row.author,
        aware(row.created_at),
        row.source,
    )


def of_draft(org: str, draft: Draft) -> dict[str, Any]:
    return {
        "org_id": org,
        "draft_id": draft.id,
        "pack": draft.pack,
        "base": draft.base,
        "files": dict(draft.files),
        "author": draft.author,
        "edition": draft.edition,
        "updated_at": utc(draft.updated_at),
        "note": draft.note,
        "hands": _of_hands(draft.hands),
        "replay": None if draft.replay is None else dict(draft.replay),
    }


def draft(row: Any) -> Draft:
    return Draft(
        row.draft_id,
        row.pack,
        row.base,
        row._mapping.get("files", {}),
        row.author,
        row.edition,
        aware(row.updated_at),
        row.note,
        _hands(row.hands),
        row.replay,
    )


def of_release(org: str, release: Release) -> dict[str, Any]:
    return {
        "org_id": org,
        "release_id": release.id,
        "revision": release.revision,
        "packs": dict(release.packs),
        "base": release.base,
        "author": release.author,
        "author_user": release.author_user or "",
        "created_at": utc(release.created_at),
        "widening": release.widening,
        "note": release.note,
        "evidence": dict(release.evidence),
        "hands": _of_hands(release.hands),
    }


def release(row: Any) -> Release:
    return Release(
        row.release_id,
        row.revision,
        row.packs,
        row.base,
        row.author,
        aware(row.created_at),
        row.widening,
        row.note,
        row.evidence,
        row.author_user or None,
        _hands(row.hands),
    )


def of_approval(org: str, approval: Approval, author: str, author_user: str) -> dict[str, Any]:
    return {
        "org_id": org,
        "release_id": approval.release,
        "person": approval.person,
        "person_user": approval.user or "",
        "author": author,
        "author_user": author_user,
        "approved": approval.approved,
        "comment": approval.comment,
        "at": utc(approval.at),
    }


def approval(row: Any) -> Approval:
    return Approval(
        row.release_id,
        row.person,
        row.approved,
        row.comment,
        aware(row.at),
        row.person_user or None,
    )


def of_rollout(org: str, rollout: Rollout, canary: Mapping[str, Any] | None) -> dict[str, Any]:
    at = rollout.changed_at
    return {
        "org_id": org,
        "number": rollout.number,
        "active": rollout.active,
        "previous": rollout.previous,
        "trying": rollout.trying,
        "canary": canary,
        "shadow": rollout.shadow,
        "changed_by": rollout.changed_by,
        "changed_at": None if at is None else utc(at),
        "why": rollout.why,
        "step": rollout.step.value,
        "record": rollout.record,
        "changed_user": rollout.changed_user,
    }


def rollout(row: Any) -> Rollout:
    canary = row.canary
    return Rollout(
        row.number,
        row.active,
        row.previous,
        row.trying,
        canary and Canary(canary["percent"], tuple(canary["teams"]), tuple(canary["keys"])),
        row.shadow,
        row.changed_by,
        None if row.changed_at is None else aware(row.changed_at),
        row.why,
        Step(row.step),
        row.record,
        row.changed_user,
    )


def of_stop(org: str, stop: Stop) -> dict[str, Any]:
    return {
        "org_id": org,
        "stop_id": stop.id,
        "what": stop.what.value,
        "name": stop.name,
        "reason": stop.reason,
        "made_by": stop.by,
        "at": utc(stop.at),
        "lifted_by": stop.lifted_by,
        "lifted_at": None if stop.lifted_at is None else utc(stop.lifted_at),
    }


def stop(row: Any) -> Stop:
    return Stop(
        row.stop_id,
        Stopped(row.what),
        row.name,
        row.reason,
        row.made_by,
        aware(row.at),
        row.lifted_by,
        None if row.lifted_at is None else aware(row.lifted_at),
    )


def of_node(org: str, node: Node) -> dict[str, Any]:
    return {
        "org_id": org,
        "node_id": node.id,
        "host": node.host,
        "revision": node.revision,
        "number": node.number,
        "stops": node.stops,
        "seen_at": utc(node.seen_at),
        "problem": node.problem,
    }


def node(row: Any) -> Node:
    return Node(
        row.node_id,
        row.host,
        row.revision,
        row.number,
        row.stops,
        aware(row.seen_at),
        row.problem,
    )


def _of_hands(hands: Sequence[Person]) -> list[list[str | None]]:
    return [[person.key_id, person.user] for person in hands]


def _hands(pairs: Sequence[Sequence[Any]]) -> tuple[Person, ...]:
    return tuple(Person(*pair) for pair in pairs)
