"""The policy engine dead, frozen, slow or talking nonsense: refused, on record, nothing sent."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from gateway.adapters.packs import Pack, load_pack, read_folder
from gateway.settings import baseline_pack
from tests.contracts.policy_server import PolicyServer, opa_binary
from tests.faults.nonsense import Answer, answering, breaking, dripping, says, silent
from tests.houses import PRICED, House, Upstream, behind, free_port, production

PATIENCE = 0.5
"""Seconds that the gateway waits for a decision."""
SLACK = 5.0
"""Seconds for the rest of a refusal, on a machine that does other things too."""
ALLOWED: dict[str, Any] = {
    "effect": "allow", "reasons": [], "obligations": [], "observed": [], "overridden": []
}  # fmt: skip
DUTY = {"id": "sing", "params": {}, "rule": "r"}


@dataclass
class Governed:
    """A gateway that asks whatever policy server stands at `port`."""

    house: House
    pack: Pack
    port: int
    upstream: Upstream

    def opa(self) -> PolicyServer:
        """A real OPA server there, with the gateway's pack."""
        server = PolicyServer(opa_binary(), self.port)
        server.publish_pack(self.pack.data)
        return server

    def ask(self, **more: Any) -> httpx.Response:
        request = {"model": "model-x", "messages": [{"role": "user", "content": "hi"}], **more}
        headers = {"authorization": f"Bearer {self.house.key('--budget', '1')}"}
        url = f"{self.house.base_url}/chat/completions"
        return httpx.post(url, json=request, headers=headers, timeout=30)

    def check_refused(self, code: str, **more: Any) -> None:
        """Refused with `code`, soon, with the right advice; on record; nothing dispatched."""
        self.upstream.forget()
        asked = time.monotonic()
        answer = self.ask(**more)
        assert time.monotonic() - asked < PATIENCE + SLACK
        assert answer.status_code == 503, answer.text
        assert answer.json()["error"]["code"] == code
        again = code == "policy_unavailable"
        assert answer.headers.get("retry-after") == ("1" if again else None)
        assert answer.headers.get("x-should-retry") == (None if again else "false")
        assert self.upstream.log()["requests"] == []
        entries = self.house.record(answer.headers["x-request-id"])
        assert [str(entry.kind) for entry in entries] == ["opened", "closed"]
        facts = entries[-1].header["facts"]
        assert (facts["outcome"], facts["code"]) == ("failed", code)
        assert (facts["attempts"], facts["cost_micro_usd"]) == (0, 0)

    def check_allowed(self) -> None:
        self.upstream.forget()
        assert self.ask().status_code == 200
        assert len(self.upstream.log()["requests"]) == 1


@pytest.fixture(scope="module")
def governed(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Governed]:
    folder, port = tmp_path_factory.mktemp("governed"), free_port()
    more = {
        "GOVGATE_POLICY__TIMEOUT_SECONDS": str(PATIENCE),
        "GOVGATE_POLICY__CACHED_DECISIONS": "0",
        "GOVGATE_POLICY__BREAKER_FAILURES": "0",
    }
    url = f"sqlite:///{folder / 'govgate.db'}"
    opa_url = f"http://127.0.0.1:{port}"
    house = production(folder, url, opa_url, **more, **behind(upstream), **PRICED)
    found = Governed(house, load_pack(read_folder(baseline_pack())), port, upstream)
    first = found.opa()
    house.start()
    found.check_allowed()
    first.stop()
    yield found
    house.stop()


def both(governed: Governed, code: str) -> None:
    governed.check_refused(code)
    governed.check_refused(code, stream=True)


def test_no_server_then_one(governed: Governed) -> None:
    both(governed, "policy_unavailable")
    opa = governed.opa()
    governed.check_allowed()
    opa.stop()
    both(governed, "policy_unavailable")


def test_a_frozen_server(governed: Governed) -> None:
    opa = governed.opa()
    governed.check_allowed()
    os.kill(opa.pid, signal.SIGSTOP)
    both(governed, "policy_unavailable")
    os.kill(opa.pid, signal.SIGCONT)
    governed.check_allowed()
    opa.stop()


def test_a_server_without_rules_or_with_another_pack(governed: Governed) -> None:
    opa = governed.opa()
    opa.publish_rules("unrelated := 1")
    both(governed, "policy_error")
    opa.publish_library()
    opa.publish_pack({**governed.pack.data, "revision": "sha256:another"})
    both(governed, "policy_unavailable")
    opa.publish_pack(governed.pack.data)
    governed.check_allowed()
    opa.stop()


def nonsense(revision: str) -> dict[str, tuple[Answer, str]]:
    """What a server might answer, and the code of the refusal."""

    def decided(decision: Any) -> Answer:
        return says(json.dumps({"result": {"revision": revision, "decision": decision}}).encode())

    good = json.dumps({"result": {"revision": revision, "decision": ALLOWED}}).encode()
    error, gone = "policy_error", "policy_unavailable"
    return {
        "undefined": (says(b"{}"), error),
        "null": (says(b'{"result": null}'), error),
        "a bare allow": (says(b'{"result": true}'), error),
        "a word": (says(b'{"result": "allow"}'), error),
        "a list": (says(b"[]"), error),
        "no JSON": (says(b"allow"), error),
        "half of it": (says(good[: len(good) // 2]), error),
        "nothing": (says(b""), error),
        "a page": (says(b"<html>It works!</html>", kind="text/html"), error),
        "a page in the right dress": (says(b"<html>It works!</html>"), error),
        "no decision": (decided(None), error),
        "an empty decision": (decided({}), error),
        "only an effect": (decided({"effect": "allow"}), error),
        "another effect": (decided(ALLOWED | {"effect": "ALLOW"}), error),
        "an unknown member": (decided(ALLOWED | {"sure": True}), error),
        "an unknown duty": (decided(ALLOWED | {"obligations": [DUTY]}), error),
        "a duty without a rule": (decided(ALLOWED | {"obligations": [{"id": "label"}]}), error),
        "a duty of another shape": (
            decided(ALLOWED | {"obligations": [DUTY | {"id": "mask", "params": {"x": 1}}]}), error
        ),
        "no revision": (says(json.dumps({"result": {"decision": ALLOWED}}).encode()), error),
        "another revision": (says(good.replace(revision.encode(), b"sha256:0")), gone),
        "not found": (says(b'{"code": "undefined_document"}', 404), error),
        "an error": (says(b'{"code": "internal_error"}', 500), error),
        "too busy": (says(good, 503), gone),
        "too many": (says(good, 429), gone),
        "a redirect": (says(good, 302), error),
        "accepted": (says(good, 202), error),
        "broken off": (breaking, gone),
        "silence": (silent(PATIENCE + 1.0), gone),
        "a drip": (dripping(good, 0.05), gone),
    }  # fmt: skip


@pytest.mark.parametrize("case", nonsense(""))
def test_nonsense(case: str, governed: Governed) -> None:
    answer, code = nonsense(governed.pack.revision)[case]
    with answering(governed.port, answer):
        both(governed, code)


def test_a_server_that_talks_sense_is_believed(governed: Governed) -> None:
    """The same fake, so that what is refused above is refused for what it says."""
    good = {"result": {"revision": governed.pack.revision, "decision": ALLOWED}}
    with answering(governed.port, says(json.dumps(good).encode())):
        governed.check_allowed()
