"""Law 5 for responses: what a rule masked reaches no provider, log or database in clear,
wherever it stood in a request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.clients.callers import make_key
from tests.clients.canned import Canned
from tests.houses import House, embedded
from tests.laws.test_canaries import BANNED, CANARIES, FORMS, files
from tests.unit.dialects.test_responses_answer import CANARY, message, response, said
from tests.unit.dialects.test_responses_request import places

SECRET = "sk-secret-of-the-server-4111111111111111"


@dataclass
class Watched:
    """A gateway with the baseline pack, whose every sink can be searched."""

    house: House
    canned: Canned
    client: httpx.Client

    def ask(self, request: dict[str, Any]) -> httpx.Response:
        return self.client.post(f"{self.house.base_url}/responses", json=request)

    def check_nowhere(self, sent: list[Any]) -> None:
        assert self.house.output is not None
        sinks = {
            "provider": json.dumps(sent, ensure_ascii=False).encode(),
            "log": self.house.output.read_bytes(),
            "database": files(self.house.folder),
        }
        assert b"model-x" in sinks["provider"]
        assert b"model-x" in sinks["database"], "the search finds what is there in clear"
        for sink, content in sinks.items():
            for form in FORMS:
                assert form.encode() not in content, f"{form} reached the {sink}"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    canned = Canned()
    canned.start()
    folder = tmp_path_factory.mktemp("watched")
    settings = {"GOVGATE_UPSTREAM__BASE_URL": canned.base_url, "LOG_LEVEL": "DEBUG"}
    house = embedded(folder, **settings, GOVGATE_UPSTREAM__API_KEY="sk-upstream")
    house.output = folder / "output"
    house.start()
    headers = {"authorization": f"Bearer {make_key(house)[0]}"}
    with httpx.Client(timeout=30, headers=headers) as client:
        yield Watched(house, canned, client)
    house.stop()
    canned.stop()


def asking(place: str, text: str) -> dict[str, Any]:
    """The request whose text at `place` is `text`."""
    request: dict[str, Any] = json.loads(json.dumps(places()[place]).replace(CANARY, text))
    return {**request, "model": "model-x"}


def test_masked_in_every_place(watched: Watched) -> None:
    answer = response(message(said("[[EMAIL_ADDRESS_1]]")))
    watched.canned.answers(json.dumps(answer).encode())
    together = f"Mine are {' and '.join(CANARIES.values())}."
    for place in places():
        got = watched.ask(asking(place, together))
        assert got.status_code == 200, f"{place}: {got.text}"
        assert got.json()["output"][0]["content"][0]["text"] == CANARIES["e-mail"], place
    bodies = [asked["body"] for asked in watched.canned.asked]
    assert len(bodies) == len(places())
    watched.check_nowhere(bodies)


@pytest.mark.parametrize("place", places())
def test_a_banned_phrase_is_refused_in_every_place(place: str, watched: Watched) -> None:
    watched.canned.answers(json.dumps(response()).encode())
    answer = watched.ask(asking(place, BANNED))
    assert answer.status_code == 400, place
    assert answer.json()["error"]["code"] == "content_filter"
    assert watched.canned.asked == []


def test_credentials_of_a_tool_arrive_and_rest_nowhere(watched: Watched) -> None:
    watched.canned.answers(json.dumps(response()).encode())
    server = {"type": "mcp", "server_label": "s", "authorization": SECRET, "headers": {"k": SECRET}}
    answer = watched.ask({"model": "model-x", "input": "hi", "tools": [server]})
    assert answer.status_code == 200, answer.text
    assert watched.canned.asked[0]["body"]["tools"] == [server]
    facts = watched.house.facts(answer.headers["x-request-id"])
    assert SECRET not in json.dumps(facts)
    assert not facts.get("findings")
    assert watched.house.output is not None
    assert SECRET.encode() not in watched.house.output.read_bytes() + files(watched.house.folder)
