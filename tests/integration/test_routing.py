"""A gateway before two real upstreams: who is asked, who is not, and what is on record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from typing import Any

import orjson
import pytest

from gateway.adapters.providers.replay_server import ReplayServer
from gateway.adapters.store.keys import NewKey
from gateway.adapters.store.migrate import migrate
from gateway.adapters.store.records import StoredEntry
from gateway.core.money import Money, usd
from gateway.settings import Settings
from gateway.wiring import Gateway, build
from tests.exchanges import chat_request
from tests.fakes.provider import serving
from tests.houses import free_port
from tests.unit.server.wire import Wire

PACK = Path(__file__).parents[1] / "clients" / "pack"
PROVIDER = """\
  - name: {name}
    kind: openai
    base_url: {url}/v1
    api_key: {{env: UPSTREAM_KEY}}
    hosting: {hosting}
    allow_private: true
"""
MODELS = """\
models:
  - name: smart
    targets:
      - {provider: one, model: m-one, price: {input: 1, output: 2}}
      - {provider: two, model: m-two, price: {input: 3, output: 6}}
  - name: stubborn
    retry_billed: true
    targets:
      - {provider: one, model: m-one, price: {input: 1, output: 2}}
      - {provider: two, model: m-two, price: {input: 3, output: 6}}
  - {name: hidden, listed: false, targets: [{provider: two}]}
  - {name: "two-*", targets: [{provider: two}]}
"""


@dataclass
class Junction:
    """A gateway and the upstreams `one` and `two` behind it."""

    gateway: Gateway
    key: str
    one: ReplayServer
    two: ReplayServer

    async def ask(self, text: str = "hello", model: str = "smart", **more: Any) -> Wire:
        body = orjson.dumps(chat_request(text, max_tokens=50, **more) | {"model": model})
        wire = Wire(headers={"authorization": f"Bearer {self.key}"}, body=body)
        await self.gateway.app(wire.scope, wire.receive, wire.send)
        return wire

    async def models(self) -> list[str]:
        headers = {"authorization": f"Bearer {self.key}"}
        wire = Wire(method="GET", path="/v1/models", headers=headers)
        await self.gateway.app(wire.scope, wire.receive, wire.send)
        return [model["id"] for model in wire.json["data"]]

    async def record(self, wire: Wire) -> Sequence[StoredEntry]:
        return await self.gateway.records.read_exchange(wire.headers["x-request-id"])

    async def facts(self, wire: Wire, kind: str) -> list[dict[str, Any]]:
        return [e.header["facts"] for e in await self.record(wire) if str(e.kind) == kind]

    @property
    def calls(self) -> tuple[int, int]:
        return len(self.one.log.requests), len(self.two.log.requests)


class Answering(ReplayServer):
    """An upstream that answers with one status, whatever it is asked."""

    def __init__(self, status: int = 200) -> None:
        super().__init__(api_key="sk-1")
        self._status = status

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def told(message: Any) -> None:
            if message["type"] == "http.response.start" and self._status != 200:
                message = {**message, "status": self._status}
            await send(message)

        await super().__call__(scope, receive, told)


@asynccontextmanager
async def junction(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    one: ReplayServer | None = None,
    *,
    models: str = MODELS,
    hosting: tuple[str, str] = ("external", "external"),
    budget: Money | None = None,
    allowed: Sequence[str] = ("*",),
    pack: Path | None = None,
) -> AsyncIterator[Junction]:
    monkeypatch.setenv("UPSTREAM_KEY", "sk-1")
    first, second = one or Answering(), Answering()
    with serving(first) as url_one, serving(second) as url_two:
        places = zip(("one", "two"), (url_one, url_two), hosting, strict=True)
        listed = [PROVIDER.format(name=n, url=u, hosting=h) for n, u, h in places]
        (folder / "routes.yaml").write_text("providers:\n" + "".join(listed) + models)
        known = Settings(
            data_dir=folder,
            routes=folder / "routes.yaml",
            replay={"enabled": False},
            policy={"pack": pack} if pack else {},
        )
        migrate(known.database_url)
        gateway = build(known)
        await gateway.start()
        try:
            new = NewKey(team="t", app="a", budget=budget, models=tuple(allowed))
            key, _ = await gateway.keys.create(new)
            yield Junction(gateway, key, first, second)
        finally:
            await gateway.stop()


async def test_the_first_target_answers_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with junction(tmp_path, monkeypatch) as site:
        wire = await site.ask()
        assert (wire.status, site.calls) == (200, (1, 0))
        assert wire.headers["x-govgate-model"] == "one/m-one"
        assert wire.headers["x-govgate-upstream-attempts"] == "1"
        assert orjson.loads(site.one.log.requests[0].body)["model"] == "m-one"


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("stream", [False, True])
async def test_one_that_turns_calls_away_is_left_for_the_next(
    status: int, stream: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Answering(status)
    async with junction(tmp_path, monkeypatch, one, budget=usd("1")) as site:
        wire = await site.ask(stream=stream)
        assert (wire.status, site.calls) == (200, (1, 1))
        assert wire.headers["x-govgate-model"] == "two/m-two"
        assert wire.headers["x-govgate-upstream-attempts"] == "2"
        first, second = await site.facts(wire, "attempt")
        assert (first["upstream"], second["upstream"]) == ("one", "two")
        assert second["after"] == f"http_{status}"
        held = first["hold_micro_usd"] + second["hold_micro_usd"]
        assert second["hold_micro_usd"] > 0  # the second is dearer
        [closed] = await site.facts(wire, "closed")
        used = closed["usage"]
        assert closed["cost_micro_usd"] == 3 * used["input_tokens"] + 6 * used["output_tokens"]
        assert closed["cost_micro_usd"] <= held


async def test_one_that_cannot_be_reached_is_left_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with junction(tmp_path, monkeypatch) as site:
        text = (tmp_path / "routes.yaml").read_text()
        nobody = f"http://127.0.0.1:{free_port()}/v1"
        here = text.partition("base_url: ")[2].partition("\n")[0]
        (tmp_path / "routes.yaml").write_text(text.replace(here, nobody))
        known = Settings(data_dir=tmp_path, routes=tmp_path / "routes.yaml")
        await site.gateway.stop()
        site.gateway = build(known)
        await site.gateway.start()
        wire = await site.ask()
        assert (wire.status, site.calls) == (200, (0, 1))
        assert (await site.facts(wire, "attempt"))[1]["after"] == "upstream_unavailable"


async def test_a_call_that_may_be_billed_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Answering(500)
    async with junction(tmp_path, monkeypatch, one, budget=usd("1")) as site:
        wire = await site.ask()
        assert (wire.status, site.calls) == (500, (1, 0))
        [attempt] = await site.facts(wire, "attempt")
        [closed] = await site.facts(wire, "closed")
        assert closed["cost_micro_usd"] == attempt["hold_micro_usd"]


async def test_unless_that_was_chosen_and_then_both_are_paid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Answering(500)
    async with junction(tmp_path, monkeypatch, one, budget=usd("1")) as site:
        wire = await site.ask(model="stubborn")
        assert (wire.status, site.calls) == (200, (1, 1))
        first, second = await site.facts(wire, "attempt")
        assert second["after"] == "http_500"
        [closed] = await site.facts(wire, "closed")
        used = closed["usage"]
        answered = 3 * used["input_tokens"] + 6 * used["output_tokens"]
        assert closed["cost_micro_usd"] == first["hold_micro_usd"] + answered
        assert closed["cost_exact"] is False


async def test_an_answer_that_has_begun_is_not_begun_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with junction(tmp_path, monkeypatch) as site:
        wire = await site.ask("@replay die-after 3\nhello to you", stream=True)
        assert (wire.status, site.calls) == (200, (1, 0))
        assert b"[DONE]" not in wire.body


async def test_who_turned_one_away_is_not_asked_by_the_next_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with junction(tmp_path, monkeypatch, Answering(429)) as site:
        await site.ask()
        wire = await site.ask()
        assert (wire.status, site.calls) == (200, (1, 2))
        assert wire.headers["x-govgate-upstream-attempts"] == "1"


async def test_where_everybody_rests_the_caller_is_told_when_to_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = "models: [{name: smart, targets: [{provider: one, model: m}]}]\n"
    async with junction(tmp_path, monkeypatch, Answering(429), models=models) as site:
        await site.ask()
        wire = await site.ask()
        assert (wire.status, site.calls) == (429, (1, 0))
        assert 1 <= int(wire.headers["retry-after"]) <= 5
        [closed] = await site.facts(wire, "closed")
        assert closed["attempts"] == 0
        assert closed["passed_over"][0]["upstream"] == "one"


ONLY_AT_HOME = """\
id: only.at.home
title: Only models in house
kind: model_access
mode: enforce
params: {models: ["*"]}
when: {hosting: [local]}
severity: low
message: {en: This model may be used.}
"""


async def test_a_target_that_the_policy_forbids_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = tmp_path / "pack"
    copytree(PACK, pack)
    (pack / "rules" / "access.yaml").write_text(ONLY_AT_HOME)
    async with junction(
        tmp_path, monkeypatch, Answering(503), hosting=("local", "external"), pack=pack
    ) as site:
        wire = await site.ask()
        assert (wire.status, site.calls) == (503, (2, 0))
        first, second = await site.facts(wire, "attempt")
        [passed] = second["passed_over"]
        assert (passed["upstream"], passed["why"]) == ("two", "forbidden")
        assert passed["decision"] != first["decision"]["id"]


PERSONAL_AT_HOME = """\
id: personal.at.home
title: Who writes an address is answered in house
kind: residency
mode: enforce
params: {labels: [EMAIL_ADDRESS], hosting: [local]}
message: {en: It stays in house.}
"""


@pytest.mark.parametrize("hosting", [("external", "local"), ("external", "external")])
async def test_what_must_stay_at_home_is_asked_there_or_not_at_all(
    hosting: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = tmp_path / "pack"
    copytree(PACK, pack)
    (pack / "rules" / "residency.yaml").write_text(PERSONAL_AT_HOME)
    async with junction(tmp_path, monkeypatch, hosting=hosting, pack=pack) as site:
        assert (await site.ask("hello")).headers["x-govgate-model"] == "one/m-one"
        wire = await site.ask("I am ann.lee@example.org")
        if hosting[1] == "local":
            assert wire.headers["x-govgate-model"] == "two/m-two"
            assert site.calls == (1, 1)
        else:
            assert (wire.status, wire.json["error"]["code"]) == (400, "content_filter")
            assert wire.json["error"]["param"] == "model"
            assert site.calls == (1, 0)


async def test_names_and_patterns_are_served_and_listed_as_far_as_a_key_reaches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with junction(tmp_path, monkeypatch, allowed=("smart", "hidden", "two-*")) as site:
        assert await site.models() == ["smart"]
        assert (await site.ask(model="hidden")).status == 200
        assert (await site.ask(model="two-more")).status == 200
        assert orjson.loads(site.two.log.requests[-1].body)["model"] == "two-more"
        assert (await site.ask(model="stubborn")).status == 403
        assert (await site.ask(model="m-two")).status == 403


async def test_many_at_once_never_spend_more_than_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with junction(tmp_path, monkeypatch, Answering(503), budget=usd("0.003")) as site:
        wires = await asyncio.gather(*(site.ask(f"call {number}") for number in range(12)))
        spent = 0
        for wire in wires:
            [closed] = await site.facts(wire, "closed")
            spent += closed["cost_micro_usd"]
        assert {wire.status for wire in wires} <= {200, 429, 503}
        assert any(wire.status == 200 for wire in wires)
        assert spent <= usd("0.003")
