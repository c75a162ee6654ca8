"""What is in force over HTTP: history, shadow, canary, rollback, who runs what, stops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import delete, get, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from gateway.core.policies import Canary, Missing, Rollout, Stop, Stopped
from gateway.core.principal import Principal
from gateway.core.shadows import Report
from gateway.governance.policies.register import Status
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
    repeated,
    wish,
)


class Beside(Wish, frozen=True):
    """A release to be asked beside what is in force."""

    release: str
    why: str = ""


class Try(Wish, frozen=True):
    """A release, and on which part of the traffic it is tried: any of what is named."""

    release: str
    percent: int = 0
    teams: Sequence[str] = ()
    keys: Sequence[str] = ()
    why: str = ""


class Back(Wish, frozen=True):
    """Without `to`, what the last release took the place of comes back."""

    to: str | None = None
    why: str = ""


class Halt(Wish, frozen=True):
    """What is refused; in `name`, `*` is any run of characters."""

    what: Stopped
    reason: str
    name: str = ""


class Lift(Wish, frozen=True):
    reason: str


class RolloutList(msgspec.Struct, frozen=True):
    rollouts: Sequence[Rollout]


class StopList(msgspec.Struct, frozen=True):
    stops: Sequence[Stop]


class Lifted(msgspec.Struct, frozen=True):
    id: str
    lifted: bool


def rollout_routes(
    who: Who, services: Services, opt: Mapping[str, Any]
) -> Sequence[HTTPRouteHandler]:
    """The handlers, each with the route options `opt`."""
    return [
        *_standing(who, services, dict(opt)),
        *_shadow(who, services, dict(opt)),
        *_canary(who, services, dict(opt)),
        *_stops(who, services, dict(opt)),
    ]


def _standing(who: Who, services: Services, opt: dict[str, Any]) -> Sequence[HTTPRouteHandler]:
    @get(f"{BASE}/status", opt=opt | says(Status))
    async def status(request: Asked) -> Told:
        """What is in force, and what every gateway runs."""
        me = await who(request.headers, READ)
        return answer(await done(services.register.status(me)))

    @get(f"{BASE}/rollouts", opt=opt | says(RolloutList))
    async def history(request: Asked) -> Told:
        """What was in force, the newest first."""
        me = await who(request.headers, READ)
        return answer(RolloutList(await done(services.register.rollouts(me))))

    @post(f"{BASE}/rollback", opt=opt | says(Rollout, takes=Back))
    async def roll_back(request: Asked) -> Told:
        """Bring back what was in force before, in one step."""
        me, asked = await who(request.headers, WRITE), await wish(request, Back)

        async def already() -> Rollout | None:
            rollout = await _rollout(services, me)
            return rollout if rollout and rollout.active == asked.to else None

        work = services.rollouts.roll_back(me, asked.why, asked.to)
        moved = await done(repeated(work, already))
        services.nudge()
        return answer(moved)

    return [status, history, roll_back]


def _shadow(who: Who, services: Services, opt: dict[str, Any]) -> Sequence[HTTPRouteHandler]:
    place = f"{BASE}/shadow"

    @get(place, opt=opt | says(Report))
    async def report(request: Asked) -> Told:
        """How often the release that is asked beside would decide otherwise."""
        me = await who(request.headers, READ)

        async def told() -> Report:
            rollout = await _rollout(services, me)
            if rollout is None or rollout.shadow is None:
                raise Missing("no release is asked beside")
            return await services.report(rollout.shadow)

        return answer(await done(told()))

    @get(f"{BASE}/releases/{{id:str}}/shadow", opt=opt | says(Report))
    async def of_release(request: Asked, id: FromPath[str]) -> Told:
        """How often it would decide otherwise, or would have while it was asked beside."""
        me = await who(request.headers, READ)

        async def told() -> Report:
            return await services.report((await services.register.release(id, me)).id)

        return answer(await done(told()))

    @put(place, opt=opt | says(Rollout, takes=Beside))
    async def start(request: Asked) -> Told:
        """Ask a release beside what is in force, without any effect."""
        me, asked = await who(request.headers, WRITE), await wish(request, Beside)

        async def already() -> Rollout | None:
            rollout = await _rollout(services, me)
            return rollout if rollout and rollout.shadow == asked.release else None

        moved = await done(
            repeated(services.rollouts.shadow(asked.release, me, asked.why), already)
        )
        services.nudge()
        return answer(moved)

    @delete(place, opt=opt | says(Rollout, takes=Why), status_code=200)
    async def end(request: Asked) -> Told:
        """Ask it no more."""
        me, asked = await who(request.headers, WRITE), await wish(request, Why)

        async def already() -> Rollout | None:
            rollout = await _rollout(services, me)
            return rollout if rollout and rollout.shadow is None else None

        moved = await done(repeated(services.rollouts.shadow(None, me, asked.why), already))
        services.nudge()
        return answer(moved)

    return [report, of_release, start, end]


def _canary(who: Who, services: Services, opt: dict[str, Any]) -> Sequence[HTTPRouteHandler]:
    place = f"{BASE}/canary"

    @put(place, opt=opt | says(Rollout, takes=Try))
    async def start(request: Asked) -> Told:
        """Try an approved release on a part of the traffic."""
        me, asked = await who(request.headers, WRITE), await wish(request, Try)
        part = Canary(asked.percent, tuple(asked.teams), tuple(asked.keys))
        moved = await done(services.rollouts.canary(asked.release, part, me, asked.why))
        services.nudge()
        return answer(moved)

    @delete(place, opt=opt | says(Rollout, takes=Why), status_code=200)
    async def end(request: Asked) -> Told:
        """Try it no more."""
        me, asked = await who(request.headers, WRITE), await wish(request, Why)

        async def already() -> Rollout | None:
            rollout = await _rollout(services, me)
            return rollout if rollout and rollout.trying is None else None

        moved = await done(repeated(services.rollouts.canary(None, None, me, asked.why), already))
        services.nudge()
        return answer(moved)

    return [start, end]


def _stops(who: Who, services: Services, opt: dict[str, Any]) -> Sequence[HTTPRouteHandler]:
    @get(f"{BASE}/stops", opt=opt | says(StopList))
    async def listed(request: Asked) -> Told:
        """What is stopped, and what was, the newest first."""
        me = await who(request.headers, READ)
        return answer(StopList(await done(services.register.stops(me))))

    @post(f"{BASE}/stops", opt=opt | says(Stop, takes=Halt, status=201))
    async def place(request: Asked) -> Told:
        """Refuse an application, key, model or tool, or everything, from now on."""
        me, asked = await who(request.headers, WRITE), await wish(request, Halt)
        made = await done(services.stops.stop(asked.what, asked.name, asked.reason, me))
        services.nudge()
        return answer(made, 201)

    @post(f"{BASE}/stops/{{id:str}}/lift", opt=opt | says(Lifted, takes=Lift))
    async def lift(request: Asked, id: FromPath[str]) -> Told:
        """Let it go on."""
        me, asked = await who(request.headers, WRITE), await wish(request, Lift)
        await done(services.stops.resume(id, asked.reason, me))
        services.nudge()
        return answer(Lifted(id, lifted=True))

    return [listed, place, lift]


async def _rollout(services: Services, me: Principal) -> Rollout | None:
    return (await services.register.status(me)).rollout
