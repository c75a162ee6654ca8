"""The one way in which it changes what is in force: on record first, and by one at a time."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

import msgspec

from gateway.core.policies import Conflict, Release, Rollout, Step
from gateway.core.principal import Principal
from gateway.core.records import Kind
from gateway.governance.policies.desk import Desk, said

KINDS = {
    Step.FIRST: Kind.POLICY_ACTIVATED,
    Step.ACTIVATED: Kind.POLICY_ACTIVATED,
    Step.ROLLED_BACK: Kind.POLICY_ROLLED_BACK,
    Step.BREAK_GLASS: Kind.POLICY_BREAK_GLASS,
    Step.CANARY: Kind.POLICY_CANARY_SET,
    Step.SHADOW: Kind.POLICY_SHADOW_STARTED,
}


async def move(
    desk: Desk,
    step: Rollout,
    who: Principal,
    why: str,
    facts: dict[str, Any],
    kind: Kind | None = None,
) -> Rollout:
    """Put what comes after `step.number` on record, and bring it into force.

    Raises `Conflict` where somebody else was faster, which is on record then; `Unavailable`.
    """
    kind, why = kind or KINDS[step.step], said(why, "a reason", needed=False)
    number = step.number + 1
    told = {**facts, "number": number, "step": step.step.value}
    shown = None if step.canary is None else msgspec.json.encode(asdict(step.canary))
    parts = {"reason": why, "canary": shown if kind is Kind.POLICY_CANARY_SET else None}
    record = await desk.note(who, kind, told, **parts)
    moved = replace(
        step, number=number, changed_by=who.key_id, changed_user=who.user,
        changed_at=desk.now(), why=why, record=record,
    )  # fmt: skip
    try:
        await desk.store.move(moved)
    except Conflict:
        await desk.note(who, kind, {**told, "undone": "conflict", "entry": record})
        raise
    return moved


async def end_trial(desk: Desk, release: Release, who: Principal) -> None:
    """End the canary of a release that was rejected, if it is on trial.

    Whoever changes something else at the same moment does not keep it on. Raises `Unavailable`.
    """
    facts = {**facts_of(release), "percent": 0, "rejected": True}
    while (rollout := (await desk.store.standing()).rollout) and rollout.trying == release.id:
        step = replace(rollout, trying=None, canary=None, step=Step.CANARY)
        with suppress(Conflict):
            await move(desk, step, who, f"{release.id} was rejected", facts)


def facts_of(release: Release) -> dict[str, Any]:
    """Which release a record is about."""
    return {"release": release.id, "revision": release.revision}
