"""Being told no, as the official `openai` package hears it: which error, how many attempts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import openai
import pytest
from openai import _base_client

from gateway.core.money import usd
from gateway.core.principal import Limits
from tests.clients.callers import (
    MODEL,
    PRICED,
    REFUSED,
    WAITING,
    Caller,
    async_caller,
    caller,
    ended,
    eventually,
    make_key,
    user,
)
from tests.clients.canned import Canned
from tests.houses import House


def ask(client: openai.OpenAI, text: str = "hello", **more: Any) -> Any:
    return client.chat.completions.create(
        **{"model": MODEL, "messages": user(text), **more}
    )  # fmt: skip


def refusal(client: openai.OpenAI, text: str = "hello", **more: Any) -> Any:
    """The error that a call ends in."""
    with pytest.raises(openai.APIStatusError) as caught:
        ask(client, text, **more)
    return caught.value


@pytest.mark.parametrize("stream", [False, True])
def test_c17_refused_by_policy(stream: bool, house: House, client: Caller) -> None:
    """One attempt, nothing sent to the model, and everything needed to ask why."""
    error = refusal(client, REFUSED, stream=stream)
    assert isinstance(error, openai.BadRequestError)
    assert len(client.attempts) == 1
    assert (error.code, error.type, error.param) == (
        "content_filter", "invalid_request_error", "messages",
    )  # fmt: skip
    governance = error.body["governance"]
    facts = ended(house, error.request_id)
    assert governance == {
        "decision_id": facts["decision"]["id"],
        "exchange_id": error.request_id,
        "action": "deny",
        "rules": ["phrases.weapons.deny"],
        "stage": "request",
    }
    assert governance["decision_id"] in error.message
    assert governance["decision_id"] == error.response.headers["x-govgate-decision"]
    assert (facts["outcome"], facts["code"]) == ("denied", "content_filter")
    assert facts["attempts"] == facts["cost_micro_usd"] == 0
    assert house.upstream is not None
    assert house.upstream.log()["requests"] == []


def test_c17_refused_by_policy_async(house: House, key: str) -> None:
    client, attempts = async_caller(house, key)

    async def scenario() -> None:
        async with client:
            await client.chat.completions.create(model=MODEL, messages=user(REFUSED))

    with pytest.raises(openai.BadRequestError) as caught:
        asyncio.run(scenario())
    assert caught.value.code == "content_filter"
    assert len(attempts) == 1


def test_c17_an_answer_refused_before_its_first_byte(house: House, client: Caller) -> None:
    """The model was asked; nothing of its answer is delivered."""
    error = refusal(client, '@replay say "Build a pi\\u0070e bomb."')
    assert isinstance(error, openai.BadRequestError)
    assert len(client.attempts) == 1
    assert error.code == "content_filter"
    assert error.body["governance"]["rules"] == ["phrases.weapons.filter"]
    assert error.body["governance"]["stage"] == "answer"
    assert ended(house, error.request_id)["outcome"] == "filtered"


def test_c16_keys_that_are_no_good(house: House) -> None:
    """Unknown or malformed: one wording, one attempt."""
    said = []
    for bad in ("sk-123", "gg_dev_aaaaaaaa_bbbb", make_key(house)[0][:-1]):
        with caller(house, bad) as client:
            error = refusal(client)
            assert isinstance(error, openai.AuthenticationError)
            assert error.code == "invalid_api_key"
            assert len(client.attempts) == 1
            with pytest.raises(openai.AuthenticationError):
                client.models.list()
            said.append(error.body)
    assert said[0] == said[1] == said[2]


def test_c16_a_revoked_key_ends_within_a_second(house: House) -> None:
    key, key_id = make_key(house)
    with caller(house, key) as client:
        assert ask(client).choices
        assert house.run("keys", "revoke", key_id).returncode == 0
        gone = time.monotonic()
        assert eventually(lambda: _refused(client)).code == "invalid_api_key"
        assert time.monotonic() - gone < WAITING / 2, "a second, says the contract; CI may be slow"
        with caller(house, "sk-123") as stranger:
            assert refusal(client).body == refusal(stranger).body, "no hint at what it was"


def test_c16_an_expired_key_ends(house: House) -> None:
    key, _ = make_key(house, expires_at=datetime.now(UTC) + timedelta(seconds=2))
    with caller(house, key) as client:
        assert ask(client).choices
        assert eventually(lambda: _refused(client)).code == "invalid_api_key"


def _refused(client: openai.OpenAI) -> openai.AuthenticationError | None:
    try:
        ask(client)
    except openai.AuthenticationError as error:
        return error
    return None


def test_a_model_the_key_may_not_use(house: House, client: Caller) -> None:
    key, _ = make_key(house, models=("replay-*",))
    with caller(house, key) as narrow:
        error = refusal(narrow)
        assert isinstance(error, openai.PermissionDeniedError)
        assert (error.code, error.param) == ("model_not_allowed", "model")
        assert len(narrow.attempts) == 1
        assert ask(narrow, model=PRICED).choices
    assert house.upstream is not None
    assert house.upstream.log()["requests"] == []


@pytest.mark.parametrize("stream", [False, True])
def test_c18_over_budget(stream: bool, house: House) -> None:
    key, _ = make_key(house, budget=usd("0.000001"))
    with caller(house, key) as client:
        error = refusal(client, model=PRICED, stream=stream)
        assert isinstance(error, openai.RateLimitError)
        assert len(client.attempts) == 1, "a budget does not come back by asking again"
    assert error.code == error.type == "insufficient_quota"
    assert error.response.headers["x-should-retry"] == "false"
    facts = ended(house, error.request_id)
    assert (facts["outcome"], facts["code"]) == ("denied", "insufficient_quota")
    assert facts["cost_micro_usd"] == 0


def test_c18_a_rate_limit_is_waited_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client waits as long as the gateway says, and asks again."""
    key, _ = make_key(house, limits=Limits(requests=2))
    waits: list[float] = []
    monkeypatch.setattr(_base_client.time, "sleep", waits.append)
    with caller(house, key) as client:
        ask(client)
        ask(client)
        client.attempts.clear()
        error = refusal(client)
        assert isinstance(error, openai.RateLimitError)
        assert len(client.attempts) == 3
    assert error.code == "rate_limit_exceeded"
    after = float(error.response.headers["retry-after"])
    assert 0 < after <= 30
    assert len(waits) == 2
    assert all(0 < wait <= 30 for wait in waits)
    assert int(error.response.headers["retry-after-ms"]) / 1_000 <= waits[-1] <= waits[0]
    assert all((wait * 1_000).is_integer() for wait in waits), "not a back-off of its own"


def test_c23_rate_limit_headers(house: House) -> None:
    key, _ = make_key(house, limits=Limits(requests=3, tokens=10_000))
    with caller(house, key, max_retries=0) as client:
        left = []
        for _ in range(3):
            raw = client.chat.completions.with_raw_response.create(
                model=MODEL, messages=user("hello"), max_completion_tokens=100
            )
            headers = raw.headers
            assert headers["x-ratelimit-limit-requests"] == "3"
            assert headers["x-ratelimit-limit-tokens"] == "10000"
            assert headers["x-ratelimit-reset-requests"].endswith("s")
            assert int(headers["x-ratelimit-remaining-tokens"]) < 10_000
            left.append(headers["x-ratelimit-remaining-requests"])
        assert left == ["2", "1", "0"]
        error = refusal(client)
    assert error.response.headers["x-ratelimit-remaining-requests"] == "0"
    assert error.response.headers["x-ratelimit-limit-requests"] == "3"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (404, openai.NotFoundError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_c27_upstream_errors_pass_with_their_status(
    stream: bool, status: int, kind: type[openai.APIStatusError], house: House, key: str
) -> None:
    with caller(house, key, max_retries=0) as client:
        error = refusal(client, f"@replay status {status} retry-after 7", stream=stream)
    assert type(error) is kind
    assert error.status_code == status
    assert error.body == {
        "message": "as scripted", "type": "replay_error", "param": None, "code": None,
    }  # fmt: skip
    headers = error.response.headers
    assert headers["retry-after"] == "7"
    assert headers["x-govgate-upstream-attempts"] == "1", "it asked for more patience than we have"
    assert headers["x-govgate-upstream-request-id"].startswith("req_")
    facts = ended(house, error.request_id)
    assert (facts["outcome"], facts["code"]) == ("failed", "upstream_error")


def test_c27_what_the_upstream_turned_away_is_tried_again(house: House, client: Caller) -> None:
    """Before the first byte, once more, and said so."""
    error = refusal(client.with_options(max_retries=0), "@replay status 503")
    assert error.response.headers["x-govgate-upstream-attempts"] == "2"
    assert len(client.attempts) == 1
    assert house.upstream is not None
    assert len(house.upstream.log()["requests"]) == 2
    assert ended(house, error.request_id)["attempts"] == 2


def test_c27_the_gateways_own_key_is_not_the_callers_matter(house: House, client: Caller) -> None:
    """A provider that refuses the gateway's key must not look like a bad key of the caller."""
    error = refusal(client.with_options(max_retries=0), "@replay status 401")
    assert error.status_code == 502
    assert error.code == "upstream_error"


SHAPES: dict[str, tuple[Callable[[openai.OpenAI], Any], int, str]] = {
    "wrong type": (lambda c: ask(c, n="two"), 400, "invalid_request"),
    "no message": (lambda c: ask(c, messages=[]), 400, "invalid_request"),
    "unknown path": (lambda c: c.fine_tuning.jobs.list(), 404, "unknown_url"),
    "wrong method": (lambda c: c.get("/chat/completions", cast_to=object), 405,
                     "method_not_allowed"),
    "too large": (lambda c: ask(c, "x" * (11 << 20)), 413, "request_too_large"),
    "not JSON": (lambda c: c.post("/chat/completions", cast_to=object, content=b"{",
                                  options={"headers": {"content-type": "application/json"}}),
                 400, "invalid_json"),
    "not said to be JSON": (lambda c: c.post("/chat/completions", cast_to=object, content=b"{}",
                                             options={"headers": {"content-type": "text/plain"}}),
                            415, "unsupported_media_type"),
    "broken upstream": (lambda c: ask(c, "@replay die"), 502, "upstream_error"),
}  # fmt: skip


@pytest.mark.parametrize("case", SHAPES)
def test_c14_every_error_has_the_shape_that_clients_read(case: str, client: Caller) -> None:
    call, status, code = SHAPES[case]
    with pytest.raises(openai.APIStatusError) as caught:
        call(client.with_options(max_retries=0))
    error = caught.value
    assert (error.status_code, error.code) == (status, code)
    assert isinstance(error.body, dict)
    assert error.body.keys() >= {"message", "type", "param", "code"}
    assert isinstance(error.type, str)
    assert error.request_id


def test_c14_a_code_is_a_string_or_null(open_client: Caller, canned: Canned) -> None:
    """Some providers send a number, which strict clients cannot read; some what the model said."""
    canned.answers(b'{"error":{"message":"no","code":422,"failed_generation":"said"}}', status=422)
    error = refusal(open_client)
    assert error.response.json()["error"]["code"] == "422"
    assert "said" not in error.response.text
