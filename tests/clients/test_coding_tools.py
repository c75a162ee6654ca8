"""C10, C11, C35, C38: sessions of Codex CLI, Claude Code and OpenCode, replayed through a gateway.

Those of Codex and Claude Code are written after what is public of both, with every unusual member
that they are known to send: `custom` tools, encrypted reasoning, cache marks, betas, an identity
that is a blob. That of OpenCode is what it sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.callers import PACK, make_key
from tests.clients.canned import Canned
from tests.houses import House, embedded

HERE = Path(__file__).parent
SESSIONS = {
    path.stem: json.loads(path.read_text()) for path in sorted((HERE / "sessions").glob("*.json"))
}
ANN = "ann.lee@example.org"
ROUTES = """\
providers:
  - {{name: openai, kind: openai, base_url: "{url}/v1", api_key: {{env: UPSTREAM_KEY}},
     allow_private: true}}
  - {{name: anthropic, kind: anthropic, base_url: "{url}", api_key: {{env: UPSTREAM_KEY}},
     allow_private: true}}
models:
  - {{name: "gpt-*", targets: [{{provider: openai}}]}}
  - {{name: "claude-*", targets: [{{provider: anthropic}}]}}
"""


def before(canned: Canned, folder: Path, **more: str) -> House:
    """A gateway whose OpenAI and Anthropic are `canned`, not started."""
    routes = folder / "routes.yaml"
    routes.write_text(ROUTES.format(url=canned.base_url.removesuffix("/v1")))
    told = {"GOVGATE_ROUTES": str(routes), "UPSTREAM_KEY": "sk-upstream", **more}
    return embedded(folder, **told)


@pytest.fixture(scope="module")
def passing(tmp_path_factory: pytest.TempPathFactory, canned: Canned) -> Iterator[House]:
    """Where no rule rewrites anything."""
    folder = tmp_path_factory.mktemp("passing")
    house = before(canned, folder, GOVGATE_POLICY__PACK=str(PACK))
    house.start()
    yield house
    house.stop()


@pytest.fixture(scope="module")
def guarding(tmp_path_factory: pytest.TempPathFactory, canned: Canned) -> Iterator[House]:
    """Where the baseline pack holds."""
    house = before(canned, tmp_path_factory.mktemp("guarding"))
    house.start()
    yield house
    house.stop()


def framed(events: list[dict[str, Any]]) -> bytes:
    """A stream as both vendors send it: only chat completions has events without a type."""
    typed = "type" in events[0]
    said = [json.dumps(event, separators=(",", ":")) for event in events]
    lines = [f"data: {data}\n\n" for data in [*said, *([] if typed else ["[DONE]"])]]
    if typed:
        lines = [f"event: {e['type']}\n{line}" for e, line in zip(events, lines, strict=True)]
    return "".join(lines).encode()


def kind(event: dict[str, Any]) -> str:
    """What an event is for: its type, or what a chunk of chat completions brings or ends with."""
    if "type" in event:
        return str(event["type"])
    return event["choices"][0]["finish_reason"] or "delta" if event["choices"] else "usage"


def replay(session: dict[str, Any], turn: dict[str, Any], house: House, key: str) -> httpx.Response:
    headers = {**session["headers"], "authorization": f"Bearer {key}"}
    root = house.base_url.removesuffix("/v1")
    return httpx.post(f"{root}{session['path']}", headers=headers, json=turn["asks"], timeout=30)


def turns() -> list[Any]:
    return [
        pytest.param(session, turn, id=f"{name} {number}")
        for name, session in SESSIONS.items()
        for number, turn in enumerate(session["turns"])
    ]


@pytest.mark.parametrize(("session", "turn"), turns())
def test_c10_c11_a_turn_passes_as_it_is(
    session: dict[str, Any], turn: dict[str, Any], passing: House, canned: Canned
) -> None:
    key, _ = make_key(passing)
    canned.answers(framed(turn["hears"]), stream=True)
    answer = replay(session, turn, passing, key)
    assert answer.status_code == 200, answer.text
    assert answer.content == framed(turn["hears"])
    [asked] = canned.asked
    assert json.dumps(asked["body"]) == json.dumps(turn["asks"])
    headers = {name.lower(): value for name, value in asked["headers"].items()}
    assert key not in json.dumps(headers)
    for name in ("anthropic-beta", "anthropic-version"):
        assert headers.get(name) == session["headers"].get(name)


def sealed(value: Any) -> list[str]:
    """What is not ours to read or change: identities, signatures, ciphertext."""
    if isinstance(value, list):
        return [found for item in value for found in sealed(item)]
    if not isinstance(value, dict):
        return []
    names = ("user_id", "signature", "encrypted_content", "prompt_cache_key")
    own = [value[name] for name in names if isinstance(value.get(name), str)]
    return own + [found for item in value.values() for found in sealed(item)]


@pytest.mark.parametrize(("session", "turn"), turns())
def test_c38_a_turn_under_rules(
    session: dict[str, Any], turn: dict[str, Any], guarding: House, canned: Canned
) -> None:
    """Addresses that tools brought along are masked; what is sealed stays as it is."""
    key, _ = make_key(guarding)
    canned.answers(framed(turn["hears"]), stream=True)
    answer = replay(session, turn, guarding, key)
    assert answer.status_code == 200, answer.text
    lines = [line for line in answer.text.splitlines() if line[:6] == "data: "]
    said = [kind(json.loads(line[6:])) for line in lines if line != "data: [DONE]"]
    ends = kind(turn["hears"][-1])
    assert said.count(ends) == 1
    assert said[-1] == ends
    [asked] = canned.asked
    sent, body = json.dumps(turn["asks"]), json.dumps(asked["body"])
    assert ANN not in body
    assert body == sent.replace(ANN, "[[EMAIL_ADDRESS_1]]")
    assert sealed(asked["body"]) == sealed(turn["asks"])


def test_c38_some_turn_has_something_to_mask() -> None:
    for session in SESSIONS.values():
        assert any(ANN in json.dumps(turn["asks"]) for turn in session["turns"])


@pytest.mark.parametrize("name", ["claude_code", "codex"])
def test_c38_each_turn_has_something_sealed(name: str) -> None:
    assert all(sealed(turn["asks"]) for turn in SESSIONS[name]["turns"])
