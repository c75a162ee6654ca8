"""Releases over HTTP: looked at, judged, brought into force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from gateway.core.policies import Approval, Rollout
from gateway.core.principal import Principal
from gateway.governance.policies.register import DraftTold, ReleaseLine, ReleaseTold, told
from gateway.governance.policies.releases import Judged
from gateway.governance.policies.services import Services
from gateway.server.described import says
from gateway.server.policy_calls import (
    BASE,
    READ,
    WRITE,
    Asked,
    Told,
    Who,
    Why,
    Wish,
    answer,
    done,
    of_draft,
    repeated,
    wish,
)


class Judgement(Wish, frozen=True):
    """What somebody says of the `revision` that they have looked at."""

    revision: str
    comment: str = ""


class Reason(Wish, frozen=True):
    reason: str


class ReleaseList(msgspec.Struct, frozen=True):
    releases: Sequence[ReleaseLine]


def release_routes(
    who: Who, services: Services, opt: Mapping[str, Any]
) -> Sequence[HTTPRouteHandler]:
    """The handlers, each with the route options `opt`."""
    return [*_looked_at(who, services, dict(opt)), *_judged(who, services, dict(opt)),
            *_in_force(who, services, dict(opt))]  # fmt: skip


def _looked_at(who: Who, services: Services, opt: dict[str, Any]) -> Sequence[HTTPRouteHandler]:
    @get(f"{BASE}/releases", opt=opt | says(ReleaseList))
    async def listed(request: Asked) -> Told:
        """The newest releases."""
        me = await who(request.headers, READ)
        return answer(ReleaseList(await done(services.register.releases(me))))

    @get(f"{BASE}/releases/{{id:str}}", opt=opt | says(ReleaseTold))
    async def read(request: Asked, id: FromPath[str]) -> Told:
        """A release, with what was known when it was handed in, and what was said of it."""
        me = await who(request.headers, READ)
        return answer(await done(services.register.release(id, me)))

    return [listed, read]


def _judged(who: Who, services: Services, opt: dict[str, Any]) -> Sequence[HTTPRouteHandler]:
    place = f"{BASE}/releases/{{id:str}}"

    @post(f"{place}/approve", opt=opt | says(ReleaseTold, takes=Judgement))
    async def approve(request: Asked, id: FromPath[str]) -> Told:
        """Say yes, as somebody who did not work on it."""
        me, asked = await who(request.headers, WRITE), await wish(request, Judgement)
        return await _say(services, me, id, asked, approved=True)

    @post(f"{place}/reject", opt=opt | says(ReleaseTold, takes=Judgement))
    async def reject(request: Asked, id: FromPath[str]) -> Told:
        """Say no, and why. One no is enough."""
        me, asked = await who(request.headers, WRITE), await wish(request, Judgement)
        return await _say(services, me, id, asked, approved=False)

    @post(f"{place}/reopen", opt=opt | says(DraftTold, status=201))
    async def reopen(request: Asked, id: FromPath[str]) -> Told:
        """Begin a draft of what it changed, on top of what is in force now."""
        me = await who(request.headers, WRITE)
        return of_draft(told(await done(services.drafts.reopen(id, me))), 201)

    return [approve, reject, reopen]


async def _say(
    services: Services, me: Principal, id: str, asked: Judgement, *, approved: bool
) -> Told:
    """Judge; who has said the same before is told what stands."""
    say = services.releases.approve if approved else services.releases.reject

    async def already() -> Judged | None:
        release = await services.register.release(id, me)
        same = release.revision == asked.revision
        return _NO_MATTER if same and _has_said(release.approvals, me, approved) else None

    await done(repeated(say(id, asked.revision, me, asked.comment), already))
    services.nudge()  # what was on trial may not be any more
    return answer(await done(services.register.release(id, me)))


_NO_MATTER = Judged((), (), 0, stale=False)


def _has_said(approvals: Sequence[Approval], me: Principal, approved: bool) -> bool:
    return any(one.person == me.key_id and one.approved is approved for one in approvals)


def _in_force(who: Who, services: Services, opt: dict[str, Any]) -> Sequence[HTTPRouteHandler]:
    place = f"{BASE}/releases/{{id:str}}"

    @post(f"{place}/activate", opt=opt | says(Rollout, takes=Why))
    async def activate(request: Asked, id: FromPath[str]) -> Told:
        """Bring it into force, approved and revalidated."""
        me, asked = await who(request.headers, WRITE), await wish(request, Why)

        async def already() -> Rollout | None:
            rollout = (await services.register.status(me)).rollout
            return rollout if rollout is not None and rollout.active == id else None

        moved = await done(repeated(services.rollouts.activate(id, me, asked.why), already))
        services.nudge()
        return answer(moved)

    @post(f"{place}/break-glass", opt=opt | says(Rollout, takes=Reason))
    async def break_glass(request: Asked, id: FromPath[str]) -> Told:
        """Bring it into force unapproved, with a reason: a debt until somebody approves it."""
        me, asked = await who(request.headers, WRITE), await wish(request, Reason)
        moved = await done(services.rollouts.break_glass(id, me, asked.reason))
        services.nudge()
        return answer(moved)

    return [activate, break_glass]
