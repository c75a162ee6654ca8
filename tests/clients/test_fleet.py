"""C17, C18, C19, C24, C34: real frameworks before a real gateway, each doing the same.

Attempts are counted where they arrive, so nothing that a package hides is missed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.core.money import usd
from gateway.core.principal import Limits
from tests.clients.callers import MODEL, PRICED, REFUSED, caller, eventually, make_key, user
from tests.clients.edge import Edge
from tests.clients.fleet import CLIENTS, Client, Running
from tests.houses import House

ANN = "ann.lee@example.org"
EACH = 30.0
"""Seconds that the gateway asks for where a key may make two requests a minute, and has. None of
the packages waits so long of its own accord."""
STORY = "One day. Two men. Three words. Four winds."


@dataclass
class Bench:
    """One client before a gateway, and all that can be seen of both."""

    client: Client
    running: Running
    edge: Edge
    house: House
    key: str

    def do(self, what: str, text: str, key: str | None = None, model: str = MODEL) -> Any:
        """What came of a task; `edge` and the upstream have forgotten what was before."""
        assert self.house.upstream is not None
        self.house.upstream.forget()
        self.edge.attempts.clear()
        where = {"base_url": self.edge.base_url, "key": key or self.key, "model": model}
        came = self.running.do(what, text, **where)
        assert self.edge.faults == [], "every answer has the shape that its API publishes"
        return came

    def attempts(self) -> list[tuple[str, str]]:
        """The requests that reached the gateway."""
        return [(each.method, each.path.partition("?")[0]) for each in self.edge.attempts]

    def call(self, model: str = MODEL) -> tuple[str, str]:
        """The request that one call of the client is."""
        return "POST", self.client.path.format(model=model)

    def asked(self) -> str:
        """All that the upstream was sent."""
        assert self.house.upstream is not None
        return json.dumps([seen["body"] for seen in self.house.upstream.log()["requests"]])


@pytest.fixture(scope="session")
def edge(fleet_house: House) -> Iterator[Edge]:
    edge = Edge(fleet_house.port)
    edge.start()
    yield edge
    edge.stop()


@pytest.fixture(scope="session")
def running(edge: Edge) -> Iterator[Callable[[Client], Running]]:
    """Each client, started when it is first needed."""
    started: dict[str, Running] = {}

    def start(client: Client) -> Running:
        if client.name not in started:
            started[client.name] = Running(client)
        return started[client.name]

    yield start
    for each in started.values():
        each.stop()


def each_that_can(task: str) -> list[Any]:
    able = [client for client in CLIENTS if task not in client.cannot]
    return [pytest.param(client, id=client.name) for client in able]


@pytest.fixture
def bench(
    request: pytest.FixtureRequest,
    running: Callable[[Client], Running],
    edge: Edge,
    fleet_house: House,
    fleet_key: str,
) -> Bench:
    return Bench(request.param, running(request.param), edge, fleet_house, fleet_key)


@pytest.mark.parametrize("bench", each_that_can("hello"), indirect=True)
def test_c34_hello(bench: Bench) -> None:
    came = bench.do("hello", f"hello {ANN}")
    assert came["said"] in (f"You said: hello {ANN}", f"{bench.client.says}hello {ANN}")
    assert bench.attempts() == [bench.call()]
    assert ANN not in bench.asked()


@pytest.mark.parametrize("bench", each_that_can("stream"), indirect=True)
def test_c34_stream(bench: Bench) -> None:
    came = bench.do("stream", STORY)
    assert came["said"] in (f"You said: {STORY}", f"{bench.client.says}{STORY}")
    assert "".join(came["pieces"]) == came["said"]
    assert len(came["pieces"]) > 1 or bench.client.heard == "", "a sentence at a time"
    assert bench.attempts() == [bench.call()]


@pytest.mark.parametrize("bench", each_that_can("tool"), indirect=True)
def test_c34_tool_call_and_result(bench: Bench) -> None:
    """The tool gets what was masked; the model does not."""
    asked = f"call {bench.client.tool} {ANN}"
    came = bench.do("tool", asked)
    assert came["said"] == f"The tool says: sent to {asked}"
    assert bench.attempts() == [bench.call()] * 2
    assert ANN not in bench.asked()


@pytest.mark.parametrize("bench", each_that_can("structured"), indirect=True)
def test_c34_structured_output(bench: Bench) -> None:
    came = bench.do("structured", f'"{ANN}"\nsaid he')
    assert came["said"] == {"said": f'{bench.client.says}"{ANN}"\nsaid he', "sure": False}
    assert bench.attempts() == [bench.call()]
    assert ANN not in bench.asked()


@pytest.mark.parametrize("task", ["hello", "stream"])
@pytest.mark.parametrize("bench", each_that_can("hello"), indirect=True)
def test_c17_refused_before_the_first_byte(bench: Bench, task: str) -> None:
    """One attempt, nothing sent to the model, and the decision named."""
    came = bench.do(task, REFUSED)
    assert bench.client.refused in came["error"]["kinds"]
    error = came["error"]
    told = {"message": re.findall(r"\bdec_\w+", error["message"]), "body": [error["decision"]]}
    [decision] = {each for place in bench.client.names_in for each in told[place]}
    assert decision.startswith("dec_")
    assert came["pieces"] == []
    assert bench.attempts() == [bench.call()]
    assert bench.asked() == "[]"


@pytest.mark.parametrize("bench", each_that_can("stream"), indirect=True)
def test_c19_refused_during_the_stream(bench: Bench) -> None:
    came = bench.do("stream", bench.client.asked)
    assert bench.client.midway in came["error"]["kinds"]
    assert re.search(r"stopped by policy .* Reference dec_\w+", came["error"]["message"])
    assert "".join(came["pieces"]) == bench.client.heard
    assert bench.attempts() == [bench.call()]


@pytest.mark.parametrize("bench", each_that_can("hello"), indirect=True)
def test_c18_over_budget(bench: Bench) -> None:
    """One attempt, except where the package repeats every 429 whatever it is told."""
    poor, _ = make_key(bench.house, budget=usd("0.000001"))
    came = bench.do("hello", "hello", key=poor, model=PRICED)
    assert bench.client.over_budget in came["error"]["kinds"]
    assert "of the budget is left" in came["error"]["message"]
    if "body" in bench.client.names_in:
        assert came["error"]["decision"].startswith("dec_")
    assert bench.attempts() == [bench.call(PRICED)] * bench.client.budget_attempts


@pytest.mark.parametrize("bench", each_that_can("hello"), indirect=True)
def test_c18_a_rate_limit_is_waited_for(bench: Bench) -> None:
    """A package that heeds it waits as long as the gateway says before it asks again.

    For the gateway no time passes meanwhile, so that it says the same each time.
    """
    limited, _ = make_key(bench.house, limits=Limits(requests=2))
    with caller(bench.house, limited) as first:
        for _ in range(2):
            first.chat.completions.create(model=MODEL, messages=user("hello"))
    came = bench.do("hello", "hello", key=limited)
    assert bench.client.limited in came["error"]["kinds"]
    assert len(bench.attempts()) == bench.client.limited_attempts
    waits = came["waits"]
    assert len(waits) == bench.client.limited_attempts - 1
    heeded = [wait == EACH for wait in waits]
    assert heeded == [bench.client.heeds] * len(waits), "not a back-off of its own"


@pytest.mark.parametrize("bench", each_that_can("hang up"), indirect=True)
def test_c24_the_client_hangs_up(bench: Bench) -> None:
    """The upstream would go on for ever; only the hang-up can end the call."""
    came = bench.do("hang up", f"@replay hang-after 9\n{STORY}")
    assert len(came["pieces"]) == 1
    upstream = bench.house.upstream
    assert upstream is not None
    [seen] = eventually(lambda: [each for each in upstream.log()["requests"] if each["ended"]])
    assert seen["ended"] == "hung up"


def test_every_task_is_one_that_a_client_could_do() -> None:
    tasks = {"hello", "stream", "tool", "structured", "hang up"}
    for client in CLIENTS:
        assert set(client.cannot) <= tasks
        assert all(why.endswith(".") for why in client.cannot.values())
    for task in tasks:
        assert len(each_that_can(task)) > len(CLIENTS) / 2
