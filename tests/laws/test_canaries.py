"""Law 5: text that a rule masked reaches no provider, log, cache or record in clear.

Canaries stand in every place of a request where text can stand; then every sink is searched,
byte by byte.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine, inspect, make_url, text

from gateway.adapters.packs import load_pack, read_folder
from gateway.adapters.presidio import PresidioMasker
from gateway.core.answer import Events
from gateway.core.exchange import Exchange, Outcome
from gateway.core.ports import CachedAnswer
from gateway.inspectors.pii import PiiInspector
from gateway.obligations.cache import cache
from gateway.obligations.mask import Mask
from gateway.settings import baseline_pack
from gateway.stages.cache import UseCache
from gateway.stages.discharge import Discharge
from tests.contracts.policy_server import PolicyServer
from tests.databases import Cluster
from tests.exchanges import allowing, decided, heard, whole
from tests.houses import MODEL, PRICED, House, Upstream, behind, embedded, production
from tests.unit.dialects.test_chat import CANARY, places

CANARIES = {
    "e-mail": "zoe.quill@example.org",
    "phone": "+44 20 7946 0958",
    "IBAN": "DE89 3704 0044 0532 0130 00",
    "card": "4111 1111 1111 1111",
}
FORMS = [form for text in CANARIES.values() for form in {text, text.replace(" ", "")}]
"""As they were written, and as somebody might have normalised them."""
BANNED = "how do I build a pipe bomb"


def asking(place: str, said: str) -> dict[str, Any]:
    """The request whose text at `place` is `said`."""
    request = json.loads(json.dumps(places()[place]).replace(CANARY, said))
    return {**request, "model": MODEL}


@dataclass
class Watched:
    """A gateway whose every sink can be searched."""

    house: House
    output: Path
    resting: Callable[[], bytes]
    """All that the database keeps, as it stands on disk."""
    client: httpx.Client

    def ask(self, request: Any, **headers: str) -> httpx.Response:
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        return self.client.post(
            f"{self.house.base_url}/chat/completions",
            content=body,
            headers={
                "authorization": f"Bearer {self.house.key()}",
                "content-type": "application/json",
                **headers,
            },
        )

    def check_nowhere(self, upstream: Upstream) -> None:
        sinks = {
            "provider": json.dumps(upstream.log(), ensure_ascii=False).encode(),
            "log": self.output.read_bytes(),
            "database": self.resting(),
        }
        assert MODEL.encode() in sinks["provider"]
        assert MODEL.encode() in sinks["database"], "the search finds what is there in clear"
        for sink, content in sinks.items():
            for form in FORMS:
                assert form.encode() not in content, f"{form} reached the {sink}"


@pytest.fixture(scope="module", params=["embedded", "production"])
def watched(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, upstream: Upstream
) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    settings = {**behind(upstream), **PRICED, "LOG_LEVEL": "DEBUG"}
    if request.param == "embedded":
        house = embedded(folder, **settings)
        resting: Callable[[], bytes] = lambda: files(folder)  # noqa: E731
    else:
        cluster: Cluster = request.getfixturevalue("cluster")
        server: PolicyServer = request.getfixturevalue("baseline_server")
        house = production(folder, cluster.create(), server.url, **settings)
        resting = lambda: dump(house.database_url)  # noqa: E731
    house.output = folder / "output"
    house.start()
    with httpx.Client(timeout=30) as client:
        yield Watched(house, house.output, resting, client)
    house.stop()


def files(folder: Path) -> bytes:
    """The database's main file, its write-ahead log and index."""
    found = sorted(folder.glob("govgate.db*"))
    assert len(found) == 3
    return b"".join(path.read_bytes() for path in found)


def dump(url: str) -> bytes:
    """Every value of every table."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    values: list[bytes] = []
    with engine.connect() as connection:
        for table in inspect(connection).get_table_names():
            for row in connection.execute(text(f'SELECT * FROM "{table}"')):
                values += [v if isinstance(v, bytes) else str(v).encode() for v in row]
    engine.dispose()
    return b"\n".join(values)


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
def test_masked_in_every_place(stream: bool, watched: Watched, upstream: Upstream) -> None:
    upstream.forget()
    together = " and ".join(CANARIES.values())
    for place in places():
        for said in (*CANARIES.values(), f"Mine are {together}."):
            answer = watched.ask({**asking(place, said), "stream": stream})
            assert answer.status_code == 200, f"{place}: {answer.text}"
    assert len(upstream.log()["requests"]) == len(places()) * (len(CANARIES) + 1)
    watched.check_nowhere(upstream)
    entries = watched.house.record(answer.headers["x-request-id"])
    assert together.encode() in (entries[0].parts or {})["request_received"]


def test_what_must_be_masked_and_must_stay_is_refused(watched: Watched, upstream: Upstream) -> None:
    """The name of a tool: the caller is told where, and nobody is told what."""
    upstream.forget()
    name = CANARIES["IBAN"].replace(" ", "")
    tools = [{"type": "function", "function": {"name": name}}]
    asked = {**asking("user", "hello"), "tools": tools}
    for stream in (False, True):
        answer = watched.ask({**asked, "stream": stream})
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (400, "content_filter")
        assert error["param"] == "/tools/0/function/name"
        assert error["governance"]["rules"] == ["pii.contact.mask"]
        assert name not in answer.text
    assert upstream.log()["requests"] == []
    assert watched.ask(asking("user", "hello")).status_code == 200
    watched.check_nowhere(upstream)


def test_the_caller_gets_its_own_values_back(watched: Watched) -> None:
    for said in CANARIES.values():
        answer = watched.ask(asking("user", said))
        assert said in answer.json()["choices"][0]["message"]["content"]


def test_refusals_failures_and_headers_leak_nothing(watched: Watched, upstream: Upstream) -> None:
    upstream.forget()
    mine = " and ".join(CANARIES.values())
    good = asking("user", mine)
    cases: list[tuple[Any, int]] = [
        (asking("user", f"{BANNED}? I am {mine}"), 400),
        (asking("user", f"@replay status 500\\n{mine}"), 500),
        (asking("user", f"@replay die\\n{mine}"), 502),
        (asking("user", f"@replay malformed\\n{mine}"), 502),
        (asking("user", f"@replay bogus\\n{mine}"), 400),
        (json.dumps(good).encode()[:-3], 400),
        ({**good, "n": mine}, 400),
        ({**good, "messages": mine}, 400),
        ({**good, "tools": [mine]}, 400),
        (b"[" * 100 + json.dumps(mine).encode(), 400),
    ]
    told = {
        "x-govgate-user": CANARIES["e-mail"],
        "x-govgate-purpose": mine,
        "x-govgate-metadata": json.dumps({"who": mine}),
        "x-client-request-id": mine,
        "user-agent": mine,
    }
    for request, status in cases:
        assert watched.ask(request, **told).status_code == status, request
    httpx.get(f"{watched.house.base_url}/{CANARIES['e-mail']}", headers=told)
    httpx.get(f"{watched.house.base_url}/models/{CANARIES['e-mail']}", headers=told)
    assert watched.ask(good, **told).status_code == 200
    watched.check_nowhere(upstream)


@pytest.mark.parametrize("place", places())
def test_a_banned_phrase_is_refused_in_every_place(
    place: str, watched: Watched, upstream: Upstream
) -> None:
    upstream.forget()
    for stream in (False, True):
        answer = watched.ask({**asking(place, BANNED), "stream": stream})
        assert answer.status_code == 400, place
        assert answer.json()["error"]["code"] == "content_filter"
    assert upstream.log()["requests"] == []


class Spy:
    """A cache that shows what it is given."""

    def __init__(self) -> None:
        self.kept: list[tuple[bytes, CachedAnswer]] = []

    async def find(self, key: bytes) -> CachedAnswer | None:
        return None

    async def keep(self, key: bytes, answer: CachedAnswer, seconds: float) -> None:
        self.kept.append((key, answer))


@pytest.mark.parametrize("place", places())
async def test_the_cache_holds_placeholders(place: str) -> None:
    """What the provider is shown, and says back, is what is kept."""
    spy = Spy()
    masking = ("mask", {"labels": masked_labels(), "min_score": 0.5, "with": "placeholder"})
    stage = Discharge({"mask": Mask(PresidioMasker()), "cache": cache})
    request = asking(place, "Mine are " + " and ".join(CANARIES.values()))
    exchange = decided(request, allowing(masking, ("cache", {"seconds": 60})))
    exchange.found(await PiiInspector().inspect([slot.passage() for slot in exchange.slots]))

    async def echo(exchange: Exchange) -> Events:
        async def said() -> Events:
            event = whole(json.dumps(exchange.request))
            exchange.heard.append(event.encode())
            yield event

        return said()

    async def cached(exchange: Exchange) -> Events:
        return await UseCache(spy)(exchange, echo)

    async with exchange:
        released = await heard(await stage(exchange, cached))
        exchange.outcome = Outcome.COMPLETED
    [(key, kept)] = spy.kept
    assert isinstance(kept, CachedAnswer)
    for form in FORMS:
        assert form not in json.dumps(kept.answer)
        assert form.encode() not in key
    assert "[[EMAIL_ADDRESS_" in json.dumps(kept.answer)
    assert CANARIES["e-mail"] in str([event.data for event in released]), "restored on the way out"


def masked_labels() -> list[str]:
    """The labels that the baseline pack masks."""
    rule = load_pack(read_folder(baseline_pack())).data["rules"]["pii"]["pii.contact.mask"]
    labels: list[str] = rule["params"]["labels"]
    return labels
