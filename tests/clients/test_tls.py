"""C44: providers behind TLS, whose authority only the operator knows, and behind a proxy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.clients.callers import MODEL, caller, make_key, user
from tests.clients.canned import Canned
from tests.clients.tls import ELSEWHERE, Authority, Proxy
from tests.houses import House, embedded
from tests.shapes.made import HEAD, USAGE

PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
SAID = {"role": "assistant", "content": "Hello.", "refusal": None}
ANSWER = {
    **HEAD, "object": "chat.completion", "usage": USAGE,
    "choices": [{"index": 0, "message": SAID, "logprobs": None, "finish_reason": "stop"}],
}  # fmt: skip


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secured(authority: Authority) -> Iterator[Canned]:
    """A provider behind TLS."""
    server = Canned()
    server.start(authority.server())
    yield server
    server.stop()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    server = Proxy()
    yield server
    server.stop()


def house(folder: Path, base_url: str, **more: str) -> House:
    """A gateway before that provider, without a proxy or an authority unless `more` says so."""
    upstream = {
        "GOVGATE_UPSTREAM__BASE_URL": base_url,
        "GOVGATE_UPSTREAM__API_KEY": "sk-upstream",
        "GOVGATE_UPSTREAM__ATTEMPTS": "1",
    }
    made = embedded(folder, **upstream)
    for name in (*PROXY_VARIABLES, "ssl_cert_file", "ssl_cert_dir"):
        made.env.pop(name, None)
        made.env.pop(name.upper(), None)
    made.env |= more
    return made


def ask(house: House) -> str | None:
    """What a caller gets."""
    house.start()
    try:
        with caller(house, make_key(house)[0], max_retries=0) as client:
            answer = client.chat.completions.create(model=MODEL, messages=user("hi"))
            return answer.choices[0].message.content
    finally:
        house.stop()


def test_c44_an_authority_of_the_operators_is_believed(
    authority: Authority, secured: Canned, tmp_path: Path
) -> None:
    secured.answers(json.dumps(ANSWER).encode())
    url = f"https://localhost:{secured.port}/v1"
    assert ask(house(tmp_path, url, SSL_CERT_FILE=str(authority.certificate))) == "Hello."
    [asked] = secured.asked
    assert asked["headers"]["authorization"] == "Bearer sk-upstream"


def test_c44_nobody_else_is(secured: Canned, tmp_path: Path) -> None:
    """The key is not sent to whom nobody vouches for, and the caller is told."""
    secured.answers(json.dumps(ANSWER).encode())
    with pytest.raises(openai.InternalServerError) as caught:
        ask(house(tmp_path, f"https://localhost:{secured.port}/v1"))
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_unavailable")
    assert secured.asked == []


def test_c44_a_proxy_is_used_where_it_is_asked_for(
    authority: Authority, secured: Canned, proxy: Proxy, tmp_path: Path
) -> None:
    """It finds the provider's name; what goes through it is between us and the provider."""
    secured.answers(json.dumps(ANSWER).encode())
    url = f"https://{ELSEWHERE}:{secured.port}/v1"
    told = {
        "SSL_CERT_FILE": str(authority.certificate),
        "HTTPS_PROXY": proxy.url,
        "GOVGATE_UPSTREAM__HONOUR_PROXIES": "true",
    }
    assert ask(house(tmp_path, url, **told)) == "Hello."
    assert proxy.asked == [f"{ELSEWHERE}:{secured.port}"]
    assert len(secured.asked) == 1


@pytest.mark.parametrize(
    "told", [{}, {"GOVGATE_UPSTREAM__HONOUR_PROXIES": "true", "NO_PROXY": "localhost"}]
)
def test_c44_a_proxy_is_passed_by_where_it_is_not(
    told: dict[str, str], authority: Authority, secured: Canned, proxy: Proxy, tmp_path: Path
) -> None:
    secured.answers(json.dumps(ANSWER).encode())
    url = f"https://localhost:{secured.port}/v1"
    known = {"SSL_CERT_FILE": str(authority.certificate), "HTTPS_PROXY": proxy.url}
    assert ask(house(tmp_path, url, **known, **told)) == "Hello."
    assert proxy.asked == []
