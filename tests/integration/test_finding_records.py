"""Records found again, from the exchange to the answer: through the gateway as it is built."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.adapters.store.keys import NewKey
from gateway.adapters.store.migrate import migrate
from gateway.core.errors import Code, Unavailable
from gateway.core.records import Kind
from gateway.core.roles import Role
from gateway.settings import Settings
from gateway.wiring import Gateway, build
from tests.databases import Database
from tests.exchanges import chat_request
from tests.unit.server.wire import Wire

CANARY = "canary.person@example.org"
TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]


class Site:
    """A gateway on a database, started anew when what it did must be in the index."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self._settings = Settings(data_dir=folder, database={"url": url})
        migrate(self._settings.database_url)
        self.keys: dict[str, str] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Gateway]:
        """A gateway; when it has stopped, all that it did is in the index."""
        gateway = build(self._settings)
        await gateway.start()
        try:
            yield gateway
        finally:
            await gateway.stop()

    async def key(
        self, gateway: Gateway, *roles: str, team: str = "t", org: str = "default"
    ) -> str:
        name = "/".join([org, team, *roles])
        if name not in self.keys:
            new = NewKey(team=team, app="a", org=org, roles=roles)
            self.keys[name] = (await gateway.keys.create(new))[0]
        return self.keys[name]

    async def ask(self, gateway: Gateway, request: dict[str, Any], **more: Any) -> Wire:
        """One chat completion of team `t`."""
        headers = {"authorization": f"Bearer {await self.key(gateway)}", **more.get("headers", {})}
        body = orjson.dumps(request | {"model": "replay-small"})
        return await _sent(gateway, Wire(headers=headers, body=body))

    async def read(
        self, gateway: Gateway, path: str, *roles: str, method: str = "GET", **more: Any
    ) -> Wire:
        """A request to the control plane, as somebody with these roles."""
        whose = {name: more[name] for name in ("team", "org") if name in more}
        key = await self.key(gateway, *roles, **whose)
        headers = {"authorization": f"Bearer {key}", **more.get("headers", {})}
        path, _, query = path.partition("?")
        wire = Wire(method=method, path=path, headers=headers, body=more.get("body", b""))
        wire.scope["query_string"] = query.encode()
        return await _sent(gateway, wire)


async def _sent(gateway: Gateway, wire: Wire) -> Wire:
    await gateway.app(wire.scope, wire.receive, wire.send)
    return wire


@pytest.fixture
def site(tmp_path: Path, database: Database) -> Site:
    return Site(tmp_path, database.url)


async def test_an_exchange_is_found_by_all_that_is_known_of_it(site: Site) -> None:
    async with site.running() as gateway:
        told = await site.ask(
            gateway,
            chat_request(f"Write to {CANARY} about porcupines.", tools=TOOLS),
            headers={
                "x-govgate-session-id": "call 7",
                "x-govgate-tags": "urgent,trial",
                "x-govgate-purpose": "support",
                "x-govgate-user": "ann",
                "x-client-request-id": "mine-1",
                "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                "idempotency-key": "once",
            },
        )
        assert told.status == 200, told.body
        id = told.headers["x-request-id"]
        entries = await gateway.records.read_exchange(id)
    async with site.running() as gateway:
        for query in (
            "", "app=a", "team=t", "model=replay-small", "provider=replay", "outcome=completed",
            "effect=allow", "session=call+7", "tag=urgent", "tag=none&tag=trial",
            "purpose=support", "tool=look_up", "finding=pii:EMAIL_ADDRESS", "obligation=mask",
            "text=porcupines", "text=%22email+address%22", "open=false", "exclude.app=b",
            "since=2020-01-01T00:00:00Z", "until=2100-01-01T00:00:00Z",
            f"revision={told.headers['x-govgate-policy-revision']}".replace(":", "%3A"),
            "action=chat.completions.create", "text=-hippopotamus", "user=user:ann",
            f"value={CANARY.upper()}", f"value={CANARY}&app=a",
        ):  # fmt: skip
            page = await site.read(gateway, f"/api/v1/exchanges?{query}", Role.AUDITOR)
            assert [one["exchange_id"] for one in page.json["exchanges"]] == [id], (
                query,
                page.body,
            )
        for query in (
            "app=b", "exclude.app=a", "text=hippopotamus", "text=porcupines+-write", "open=true",
            "until=2020-01-01T00:00:00Z", "cost_from=5000000000", "tag=none", "session=other",
            "text=canary", "text=%22", "user=user:bob", "value=bob@example.org",
        ):  # fmt: skip
            page = await site.read(gateway, f"/api/v1/exchanges?{query}", Role.AUDITOR)
            assert page.json == {"exchanges": [], "next": None}, query
        ids = [
            id, told.json["id"], told.headers["x-govgate-decision"], "mine-1", "once",
            told.headers["x-govgate-upstream-request-id"],
            told.headers["x-govgate-leaf"], "0af7651916cd43dd8448eb211c80319c",
            told.headers["x-govgate-leaf"].upper(), *(entry.entry_id for entry in entries),
        ]  # fmt: skip
        for any_id in ids:
            found = await site.read(gateway, f"/api/v1/find/{any_id}", Role.VIEWER)
            assert found.json == {"exchange_id": id}, any_id
        assert (await site.read(gateway, "/api/v1/find/nothing", Role.AUDITOR)).status == 404


async def test_nothing_in_clear_is_shown_without_the_right(site: Site) -> None:
    """Law 5, for whoever searches: the person of the request is nowhere but in its content."""
    async with site.running() as gateway:
        asked = chat_request(f"Write to {CANARY}.")
        headers = {
            "x-govgate-session-id": CANARY, "x-govgate-user": CANARY, "x-govgate-tags": CANARY,
            "x-govgate-purpose": f"for {CANARY}", "x-client-request-id": CANARY,
        }  # fmt: skip
        id = (await site.ask(gateway, asked, headers=headers)).headers["x-request-id"]
    async with site.running() as gateway:
        listed = await site.read(gateway, "/api/v1/exchanges", Role.AUDITOR)
        [one] = listed.json["exchanges"]
        for role in (Role.AUDITOR, Role.COMPLIANCE, Role.DEVELOPER):
            for path in _paths(id, one["session"]):
                told = await site.read(gateway, path, role)
                assert told.status == 200, (path, told.body)
                assert CANARY.encode() not in told.body, (path, role)
        content = await site.read(
            gateway, f"/api/v1/exchanges/{id}/content?part=request_received", Role.INVESTIGATOR,
            headers={"x-govgate-reason": "case%207"},
        )  # fmt: skip
        assert content.json["parts"][0]["text"].count(CANARY) == 1
        [note] = [entry for entry in await _acts(gateway, content.json["read"])]
        assert note.kind is Kind.AUDIT_READ
        assert note.parts == {"reason": b"case 7"}
        assert note.header["facts"] == {"exchange_id": id, "parts": ["request_received"]}
    stored = [path.read_bytes() for path in site.folder.glob("govgate.db*")]
    assert not [content for content in stored if CANARY.encode() in content]


def _paths(id: str, session: str) -> Sequence[str]:
    return (
        "/api/v1/exchanges",
        "/api/v1/exchanges/facets",
        f"/api/v1/exchanges/{id}",
        f"/api/v1/exchanges/{id}/explain",
        f"/api/v1/sessions/{session}",
        f"/api/v1/find/{id}",
        "/api/v1/queries",
    )


async def _acts(gateway: Gateway, entry_id: str) -> Sequence[Any]:
    """The act that an entry is."""
    search = gateway.auditing.search
    act = await search.find("default", entry_id)
    assert act is not None
    return await gateway.records.read_exchange(act)


async def test_when_the_journal_is_away_nothing_is_shown(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site.running() as gateway:
        id = (await site.ask(gateway, chat_request("porcupines"))).headers["x-request-id"]

        async def away(*_: object) -> None:
            raise Unavailable(Code.AUDIT_UNAVAILABLE, "The ledger is closed.")

        monkeypatch.setattr(gateway.journal, "note", away)
        told = await site.read(
            gateway, f"/api/v1/exchanges/{id}/content", Role.INVESTIGATOR,
            headers={"x-govgate-reason": "case 7"},
        )  # fmt: skip
        assert (told.status, told.json["code"]) == (503, "audit_unavailable")
        assert b"porcupines" not in told.body


NOBODY, TEAM, ORG, CONTENT = set[str](), {"viewer", "developer"}, set[str](), {"investigator"}
ORG = {"compliance", "auditor", "investigator"}


@pytest.mark.parametrize("role", ["", *Role])
async def test_each_role_sees_what_it_may_and_no_more(tmp_path: Path, role: str) -> None:
    site = Site(tmp_path, f"sqlite:///{tmp_path}/govgate.db")
    roles = (role,) if role else ("none",)
    async with site.running() as gateway:
        asked = await site.ask(
            gateway, chat_request("hello"), headers={"x-govgate-session-id": "s"}
        )
        id = asked.headers["x-request-id"]
    async with site.running() as gateway:
        reads = ["/api/v1/exchanges", "/api/v1/exchanges/facets", "/api/v1/queries"]
        ones = [f"/api/v1/exchanges/{id}", f"/api/v1/exchanges/{id}/explain", f"/api/v1/find/{id}"]
        ones.append("/api/v1/sessions/s")
        for team in ("t", "other"):
            sees = role in ORG or (role in TEAM and team == "t")
            for path in reads:
                told = await site.read(gateway, path, *roles, team=team)
                assert told.status == (200 if role in ORG | TEAM else 403), path
                if "facets" in path and told.status == 200:
                    assert told.json["counted"] == int(sees)
            for path in ones:
                told = await site.read(gateway, path, *roles, team=team)
                assert told.status == (200 if sees else 404 if role in TEAM else 403), path
            reason = {"x-govgate-reason": "why"}
            path = f"/api/v1/exchanges/{id}/content"
            told = await site.read(gateway, path, *roles, team=team, headers=reason)
            assert told.status == (200 if role in CONTENT else 403)
            if told.status == 403:
                assert told.json["code"] == "insufficient_role"
        for method in ("PUT", "DELETE"):
            path = "/api/v1/queries/mine"
            told = await site.read(gateway, path, *roles, method=method, body=b'{"app": ["a"]}')
            assert told.status == (200 if role in ORG | TEAM else 403)


async def test_an_organisation_sees_nothing_of_another(site: Site) -> None:
    async with site.running() as gateway:
        headers = {"x-govgate-session-id": "s", "idempotency-key": "once"}
        told = await site.ask(gateway, chat_request("porcupines"), headers=headers)
        id, decision = told.headers["x-request-id"], told.headers["x-govgate-decision"]
        entries = await gateway.records.read_exchange(id)
        put = await site.read(
            gateway, "/api/v1/queries/q", Role.AUDITOR, method="PUT", body=b'{"app": ["a"]}'
        )
        assert put.status == 200, put.body
    async with site.running() as gateway:
        other = {"org": "other", "headers": {"x-govgate-reason": "why"}}
        everything = (Role.AUDITOR, Role.INVESTIGATOR)
        for path in (
            f"/api/v1/exchanges/{id}", f"/api/v1/exchanges/{id}/explain", "/api/v1/sessions/s",
            f"/api/v1/exchanges/{id}/content",
            *(f"/api/v1/find/{any_id}"
              for any_id in (id, decision, "once", told.json["id"], entries[0].entry_id,
                             told.headers["x-govgate-leaf"])),
        ):  # fmt: skip
            assert (await site.read(gateway, path, *everything, **other)).status == 404, path
        page = await site.read(gateway, "/api/v1/exchanges?text=porcupines", *everything, **other)
        assert page.json["exchanges"] == []
        facets = await site.read(gateway, "/api/v1/exchanges/facets", *everything, **other)
        assert facets.json == {"counted": 0, "complete": True, "dimensions": {}}
        assert (await site.read(gateway, "/api/v1/queries", *everything, **other)).json == {
            "queries": []
        }
        gone = await site.read(gateway, "/api/v1/queries/q", *everything, method="DELETE", **other)
        assert gone.status == 404
