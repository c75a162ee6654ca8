"""Whom a request is for, over the wire: what the provider got, and what is on record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import httpx
import pytest

from gateway.settings import baseline_pack
from gateway.wiring import DIALECTS
from tests.clients.canned import Canned
from tests.clients.test_coding_tools import before
from tests.houses import House
from tests.integration.scenes import record
from tests.unit.obligations.test_pseudonymise import ASKED, PSEUDONYM, naming

EMAIL, PLAIN = "ann.lee@example.org", "employee-Quill-77"
"""One that the baseline masks, and one that only this rule hides."""
RULE = """\
id: identifier.pseudonym
title: Providers are not told who asks
kind: identifier
mode: enforce
on_match: pseudonymise
message:
  en: The provider reads a pseudonym.
"""
MODELS = {"openai": "gpt-x", "anthropic": "claude-x"}
OPENAIS = ("user", "safety_identifier")


def cases() -> Iterator[tuple[str, str, str]]:
    """Every endpoint, each member by which it names a user, and whose API the provider speaks:
    its own, or one that it is translated into, as far as that carries the member."""
    for path in DIALECTS:
        if path.startswith("/v1/messages"):
            yield from ((path, member, "anthropic") for member in ("metadata.user_id", *OPENAIS))
        else:
            yield from ((path, member, "openai") for member in OPENAIS)
    yield "/v1/messages", "metadata.user_id", "openai"
    yield from (("/v1/chat/completions", member, "anthropic") for member in OPENAIS)


CASES = list(cases())


@pytest.fixture(scope="module")
def canned() -> Iterator[Canned]:
    server = Canned()
    server.start()
    yield server
    server.stop()


def house_with(folder: Path, canned: Canned, *rules: str) -> House:
    """A gateway with the baseline and these rules, not started."""
    pack = folder / "pack"
    copytree(baseline_pack(), pack)
    if rules:
        (pack / "rules" / "more.yaml").write_text("---\n".join(rules))
    return before(canned, folder, GOVGATE_POLICY__PACK=str(pack))


@pytest.fixture(scope="module")
def hiding(tmp_path_factory: pytest.TempPathFactory, canned: Canned) -> Iterator[House]:
    house = house_with(tmp_path_factory.mktemp("hiding"), canned, RULE)
    house.start()
    yield house
    house.stop()


@pytest.fixture(scope="module")
def telling(tmp_path_factory: pytest.TempPathFactory, canned: Canned) -> Iterator[House]:
    house = house_with(tmp_path_factory.mktemp("telling"), canned)
    house.start()
    yield house
    house.stop()


def ask(house: House, path: str, body: dict[str, Any]) -> httpx.Response:
    kind, content = DIALECTS[path].encode({**ASKED[path], **body})
    headers = {"authorization": f"Bearer {house.key()}", "content-type": kind}
    url = house.base_url.removesuffix("/v1") + path
    return httpx.post(url, content=content, headers=headers, timeout=30)


def got(canned: Canned) -> str:
    """All that the provider was asked, but for the keys that it knows us by."""
    [asked] = canned.asked
    body = asked["body"]
    return body.decode("latin-1") if isinstance(body, bytes) else json.dumps(body)


@pytest.mark.parametrize("name", [EMAIL, PLAIN])
@pytest.mark.parametrize(("path", "member", "vendor"), CASES)
def test_c37_the_provider_reads_a_pseudonym(
    path: str, member: str, vendor: str, name: str, hiding: House, canned: Canned
) -> None:
    canned.answers(b'{"error":{"message":"no"}}', status=400)
    answer = ask(hiding, path, {"model": MODELS[vendor], **naming(member, name)})
    assert answer.json()["error"]["message"] == "no", "it came as far as the provider"
    assert name not in got(canned)
    assert "EMAIL_ADDRESS" not in got(canned)
    assert len(PSEUDONYM.findall(got(canned))) == 1
    [opened, attempt, _] = record(hiding, answer.headers["x-request-id"])
    assert name.encode() in (opened.parts or {})["request_received"]
    assert name.encode() not in (attempt.parts or {})["request_sent"]


def test_one_person_is_one_person_at_every_endpoint(hiding: House, canned: Canned) -> None:
    told: set[str] = set()
    for path, member, vendor in CASES:
        canned.answers(b'{"error":{"message":"no"}}', status=400)
        ask(hiding, path, {"model": MODELS[vendor], **naming(member, PLAIN)})
        told |= set(PSEUDONYM.findall(got(canned)))
    assert len(told) == 1


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
def test_the_caller_is_answered_as_before(stream: bool, hiding: House, canned: Canned) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hello."}}
    whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    canned.answers(json.dumps({**whole, "choices": [choice | {"finish_reason": "stop"}]}).encode())
    body = {"model": "gpt-x", "user": PLAIN, "stream": stream}
    answer = ask(hiding, "/v1/chat/completions", body)
    assert answer.status_code == 200
    assert "Hello." in answer.text
    facts = hiding.facts(answer.headers["x-request-id"])
    assert facts["decision"]["obligations"][0] == "pseudonymise"
    assert "identifier.pseudonym" in facts["decision"]["rules"]


def test_where_no_rule_wants_it_the_name_is_forwarded(telling: House, canned: Canned) -> None:
    canned.answers(b'{"error":{"message":"no"}}', status=400)
    ask(telling, "/v1/chat/completions", {"model": "gpt-x", "user": PLAIN})
    assert json.loads(got(canned))["user"] == PLAIN
    assert PSEUDONYM.search(got(canned)) is None
