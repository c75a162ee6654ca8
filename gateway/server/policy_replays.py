"""Replays of drafts over HTTP, and which rules apply to whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from gateway.core.audit import Filters
from gateway.core.errors import Malformed
from gateway.core.replays import Wanted
from gateway.governance.policies.jobs import MOST, Job
from gateway.governance.policies.services import Services
from gateway.governance.policies.standings import Asks, Effective
from gateway.server.described import TEXT, Param, says
from gateway.server.policy_calls import (
    BASE,
    READ,
    WRITE,
    Asked,
    Told,
    Who,
    Wish,
    answer,
    done,
    wish,
)

_ONE = ("app", "model", "team", "hosting", "region", "locale")
_QUERY = {
    "app": Param(TEXT, "The application that asks.", required=True),
    "model": Param(TEXT, "The model that it asks.", required=True),
    "team": Param(TEXT, "Its team."),
    "tag": Param({"type": "array", "items": TEXT}, "Its tags."),
    "hosting": Param(TEXT, "Where the model runs, in place of what the catalogue says."),
    "region": Param(TEXT, "In which region, in the same way."),
    "locale": Param({"enum": ["en", "fr"], "default": "en"}, "The language of the sentences."),
}


class Past(Wish, frozen=True):
    """Which recorded exchanges are asked about: the newest `most`, or where `sample`, so many
    at random."""

    since: datetime | None = None
    until: datetime | None = None
    app: Sequence[str] = ()
    team: Sequence[str] = ()
    key: Sequence[str] = ()
    model: Sequence[str] = ()
    most: int = MOST
    sample: bool = False


def replay_routes(
    who: Who, services: Services, opt: Mapping[str, Any]
) -> Sequence[HTTPRouteHandler]:
    """The handlers, each with the route options `opt`."""
    route = dict(opt)

    @post(f"{BASE}/drafts/{{id:str}}/replay", opt=route | says(Job, takes=Past, status=202))
    async def begin(request: Asked, id: FromPath[str]) -> Told:
        """Ask it about exchanges that happened. The answer says where to look for the result."""
        me, asked = await who(request.headers, WRITE), await wish(request, Past)
        job = await done(services.jobs.begin(id, _wanted(asked), me))
        return answer(job, 202, {"location": f"{BASE}/replays/{job.id}"})

    @get(f"{BASE}/replays/{{id:str}}", opt=route | says(Job))
    async def look(request: Asked, id: FromPath[str]) -> Told:
        """How a replay stands that was begun in this gateway, and its result."""
        me = await who(request.headers, READ)
        return answer(await done(services.jobs.job(id, me)))

    @get(f"{BASE}/effective", opt=route | says(Effective, query=_QUERY))
    async def effective(request: Asked) -> Told:
        """Which rules apply to an application and a model, which do not, and why."""
        me = await who(request.headers, READ)
        return answer(await done(services.standings.effective(_asks(request), me)))

    return [begin, look, effective]


def _wanted(asked: Past) -> Wanted:
    """Raises `Malformed`."""
    told = msgspec.structs.asdict(asked)
    most, sample = told.pop("most"), told.pop("sample")
    try:
        return Wanted(msgspec.convert(told, Filters), most, sample)
    except ValueError as error:
        raise Malformed(f"This cannot be asked: {error}.") from error


def _asks(request: Asked) -> Asks:
    """The query, of which `app` and `model` are needed. Raises `Malformed`."""
    asked = {name: list(values) for name, values in request.query_params.dict().items()}
    tags = asked.pop("tag", [])
    for name, values in asked.items():
        if name not in _ONE:
            raise Malformed(f"There is no {name!r} here.", param=name)
        if len(values) > 1:
            raise Malformed(f"{name!r} is given {len(values)} times.", param=name)
    given = {name: values[0] for name, values in asked.items()}
    for name in ("app", "model"):
        if not given.get(name):
            raise Malformed(f"{name!r} is missing.", param=name)
    if given.get("locale", "en") not in ("en", "fr"):
        raise Malformed("'locale' is en or fr.", param="locale")
    return Asks(**given, tags=tags)
