"""Policymaking over HTTP: packs and their versions, Git and the console; all the routes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import get, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from gateway.core.policies import Owner, PackFiles
from gateway.core.principal import Principal
from gateway.governance.policies.register import PackLine, PackTold, ReleaseTold, VersionTold
from gateway.governance.policies.services import Services
from gateway.server.described import BYTES, TEXT, says
from gateway.server.policy_calls import (
    BASE,
    READ,
    WRITE,
    Asked,
    Told,
    Who,
    Wish,
    answer,
    document,
    done,
    repeated,
    wish,
)
from gateway.server.policy_drafts import Note, draft_routes
from gateway.server.policy_releases import release_routes
from gateway.server.policy_replays import replay_routes
from gateway.server.policy_rollouts import rollout_routes

_ZIP = "application/zip"
_PATCH = "text/x-diff"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip file can name: so that the same files give the same bytes."""


class Publish(Wish, frozen=True):
    """What stands in Git. `source` says where, such as `a1b2c3d policies/packs/support`."""

    files: Mapping[str, str]
    source: str
    note: str = ""


class Files(Wish, frozen=True):
    files: Mapping[str, str]


class Owned(Wish, frozen=True):
    owner: Owner


class PackList(msgspec.Struct, frozen=True):
    packs: Sequence[PackLine]


class Drift(msgspec.Struct, frozen=True):
    """The files that are others than in force; none where all is the same."""

    differs: Sequence[str]


def policy_routes(
    who: Who, services: Services, opt: Mapping[str, Any]
) -> Sequence[HTTPRouteHandler]:
    """The handlers, each with the route options `opt`."""
    return [
        *_packs(who, services, dict(opt)),
        *_git(who, services, dict(opt)),
        *draft_routes(who, services, opt),
        *release_routes(who, services, opt),
        *rollout_routes(who, services, opt),
        *replay_routes(who, services, opt),
    ]


def _packs(who: Who, services: Services, opt: dict[str, Any]) -> Sequence[HTTPRouteHandler]:
    @get(f"{BASE}/packs", opt=opt | says(PackList))
    async def listed(request: Asked) -> Told:
        """Every pack, where it is changed, and what of it is in force."""
        me = await who(request.headers, READ)
        return answer(PackList(await done(services.register.packs(me))))

    @get(f"{BASE}/packs/{{id:str}}", opt=opt | says(PackTold))
    async def read(request: Asked, id: FromPath[str]) -> Told:
        """A pack: what its rules in force say, and its versions."""
        me = await who(request.headers, READ)
        return answer(await done(services.register.pack(id, me)))

    @get(f"{BASE}/versions/{{digest:str}}", opt=opt | says(VersionTold))
    async def version(request: Asked, digest: FromPath[str]) -> Told:
        """A version of a pack, with its files."""
        me = await who(request.headers, READ)
        return answer(await done(services.register.version(digest, me)))

    @post(f"{BASE}/packs/{{id:str}}/retire", opt=opt | says(ReleaseTold, takes=Note, status=201))
    async def retire(request: Asked, id: FromPath[str]) -> Told:
        """Hand in a release without a pack."""
        me, asked = await who(request.headers, WRITE), await wish(request, Note)
        release = await done(services.releases.retire(id, me, asked.note))
        return answer(await done(services.register.release(release.id, me)), 201)

    return [listed, read, version, retire]


def _git(who: Who, services: Services, opt: dict[str, Any]) -> Sequence[HTTPRouteHandler]:
    @post(f"{BASE}/publish", opt=opt | says(ReleaseTold, takes=Publish, status=201))
    async def publish(request: Asked) -> Told:
        """Hand in what stands in Git, from CI."""
        me, asked = await who(request.headers, WRITE), await wish(request, Publish)
        release = await done(services.releases.publish(asked.files, asked.source, me, asked.note))
        return answer(await done(services.register.release(release.id, me)), 201)

    @get(f"{BASE}/packs/{{id:str}}/export", opt=opt | says(BYTES, media=(_ZIP,)))
    async def export(request: Asked, id: FromPath[str]) -> Told:
        """The files of a pack in force: the same bytes every time. On record."""
        me = await who(request.headers, READ)
        files = await done(services.ownership.export(id, me))
        name = {"content-disposition": f'attachment; filename="{id}.zip"'}
        return document(zipped(files), _ZIP, name)

    @post(f"{BASE}/drift", opt=opt | says(Drift, takes=Files))
    async def drift(request: Asked) -> Told:
        """Which of these files are others than in force."""
        me, asked = await who(request.headers, READ), await wish(request, Files)
        return answer(Drift(await done(services.ownership.drift(asked.files, me))))

    @put(f"{BASE}/packs/{{id:str}}/owner", opt=opt | says(PackTold, takes=Owned))
    async def own(request: Asked, id: FromPath[str]) -> Told:
        """Say where a pack is changed from now on."""
        me, asked = await who(request.headers, WRITE), await wish(request, Owned)

        async def already() -> bool | None:
            packs = {pack.id: pack.owner for pack in await services.register.packs(me)}
            return True if packs.get(id) is asked.owner else None

        await done(repeated(_switched(services, id, asked.owner, me), already))
        return answer(await done(services.register.pack(id, me)))

    @get(f"{BASE}/drafts/{{id:str}}/patch", opt=opt | says(TEXT, media=(_PATCH,)))
    async def propose(request: Asked, id: FromPath[str]) -> Told:
        """A draft as a patch, for a pack that is changed in Git."""
        me = await who(request.headers, READ)
        said = await done(services.ownership.propose(id, me))
        return document(said.encode(), f"{_PATCH}; charset=utf-8")

    return [publish, export, drift, own, propose]


async def _switched(services: Services, pack: str, owner: Owner, me: Principal) -> bool:
    await services.ownership.switch(pack, owner, me)
    return True


def zipped(files: PackFiles) -> bytes:
    """A zip of the files, in the order of their names and without dates."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name].encode(), zipfile.ZIP_DEFLATED)
    return written.getvalue()
