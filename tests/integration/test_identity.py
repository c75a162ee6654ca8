"""Callers with tokens, through the whole gateway."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from joserfc import jwk, jwt

from tests.houses import House, embedded
from tests.integration.scenes import record

ISSUER, AUDIENCE = "https://id.example.org", "govgate"
KEY: Any = jwk.generate_key("EC", "P-256", {"kid": "k1", "use": "sig"})


def token(**more: Any) -> str:
    now = int(time.time())
    claims = {
        "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 300, "sub": "ann@example.org",
        "client_id": "shop-bot", "scope": "chat.* models.list", "team": "support", **more,
    }  # fmt: skip
    return jwt.encode({"alg": "ES256", "kid": "k1"}, claims, KEY, algorithms=["ES256"])


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A gateway that takes tokens besides keys; the issuer's keys are in a file."""
    folder: Path = tmp_path_factory.mktemp("tokens")
    (folder / "jwks.json").write_text(json.dumps({"keys": [KEY.as_dict(private=False)]}))
    house = embedded(
        folder,
        GOVGATE_JWT__ISSUER=ISSUER,
        GOVGATE_JWT__AUDIENCE=AUDIENCE,
        GOVGATE_JWT__JWKS_FILE=str(folder / "jwks.json"),
        GOVGATE_JWT__TEAM_CLAIM="team",
        GOVGATE_JWT__REQUESTS_PER_MINUTE="1000",
    )
    house.start()
    yield house
    house.stop()


def ask(house: House, credential: str, **headers: str) -> httpx.Response:
    request = {"model": "replay-small", "messages": [{"role": "user", "content": "Hello."}]}
    told = {"authorization": f"Bearer {credential}", **headers}
    return httpx.post(f"{house.base_url}/chat/completions", json=request, headers=told, timeout=30)


def test_a_token_opens_the_door_and_is_on_record(tokens: House) -> None:
    answer = ask(tokens, token(), **{"x-govgate-user": "mallory"})
    assert answer.status_code == 200
    assert answer.headers["x-ratelimit-limit-requests"] == "1000"
    first, attempt, *_ = record(tokens, answer.headers["x-request-id"])
    assert (first.header["app"], first.header["team"]) == ("shop-bot", "support")
    assert first.header["key_id"].startswith("jwt_")
    question = orjson.loads((attempt.parts or {})["question"])
    assert question["subject"]["properties"]["user"] == "ann@example.org"
    assert "ann@" not in str(first.header)


def test_a_key_still_does(tokens: House) -> None:
    assert ask(tokens, tokens.key()).status_code == 200


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"aud": "other"}, 401),
        ({"iss": "https://evil.example"}, 401),
        ({"exp": 1}, 401),
        ({"client_id": None}, 401),
        ({"scope": "models.list"}, 403),
        ({"scope": None}, 403),
    ],
    ids=str,
)
def test_another_token_does_not(tokens: House, more: dict[str, Any], status: int) -> None:
    assert ask(tokens, token(**more)).status_code == status


def test_c16_one_wording_whatever_is_wrong(tokens: House) -> None:
    bad = [token(aud="other"), token(exp=1), token() + "x", "a.b.c", "gg_dev_a.b.c", "nonsense"]
    said = [ask(tokens, each) for each in bad]
    assert {each.status_code for each in said} == {401}
    assert len({each.content for each in said}) == 1
    assert said[0].json()["error"]["code"] == "invalid_api_key"


def test_models_are_listed_for_a_token_too(tokens: House) -> None:
    headers = {"x-api-key": token(), "anthropic-version": "2023-06-01"}
    listed = httpx.get(f"{tokens.base_url}/models", headers=headers, timeout=30).json()
    assert {model["type"] for model in listed["data"]} == {"model"}
    assert listed["has_more"] is False


def test_without_the_issuers_keys_nothing_is_believed(tmp_path: Path) -> None:
    house = embedded(
        tmp_path,
        GOVGATE_JWT__ISSUER=ISSUER,
        GOVGATE_JWT__AUDIENCE=AUDIENCE,
        GOVGATE_JWT__JWKS_URL="http://127.0.0.1:9/jwks",
    )
    house.start()
    try:
        refused = ask(house, token())
        assert (refused.status_code, refused.json()["error"]["code"]) == (
            503,
            "identity_unavailable",
        )
        assert "retry-after" in refused.headers
        assert ask(house, house.key()).status_code == 200
    finally:
        house.stop()
