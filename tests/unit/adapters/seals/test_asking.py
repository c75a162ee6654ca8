"""One question to a service: bounded, not repeated, sent nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import httpx
import pytest

from gateway.adapters.providers.wire import AiohttpTransport, Timeouts
from gateway.adapters.seals.asking import MOST_BYTES, Asking, checked_address
from gateway.core.seals import SealError
from tests.houses import free_port
from tests.sealing import Service

ASKING = Asking(partial(AiohttpTransport, Timeouts(connect=1, first_byte=1, idle=1, total=1)))


@pytest.fixture
def service() -> Iterator[Service]:
    found = Service()
    yield found
    found.stop()


def asked(url: str) -> tuple[int, object]:
    return ASKING.post("the service", httpx.URL(url), {"x-one": "1"}, b"body")


def test_what_is_asked_arrives_as_it_is(service: Service) -> None:
    service.answers.append((200, {}, b'{"a": 1}'))
    assert asked(f"{service.url}/path") == (200, {"a": 1})
    assert service.asked[0].path == "/path"
    assert service.asked[0].body == b"body"
    assert service.asked[0].headers["x-one"] == "1"
    assert service.asked[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'"x"', b"{", b"\xff", b'{"a": "' + b"x" * MOST_BYTES + b'"}']
)
def test_an_answer_that_is_no_small_object_has_no_members(service: Service, body: bytes) -> None:
    service.answers.append((200, {}, body))
    assert asked(service.url) == (200, {})


def test_no_redirect_is_followed(service: Service) -> None:
    service.answers.append((307, {"location": f"{service.url}/elsewhere"}, b""))
    assert asked(service.url) == (307, {})
    assert len(service.asked) == 1


def test_one_that_is_away_is_named() -> None:
    with pytest.raises(SealError, match="the service cannot be reached"):
        asked(f"http://127.0.0.1:{free_port()}")


def test_one_that_hangs_up_is_named(service: Service) -> None:
    service.answers.append((200, {"content-length": "100"}, b"{"))
    with pytest.raises(SealError, match="the service cannot be reached"):
        asked(service.url)


@pytest.mark.parametrize(
    "text", ["https://vault.example:8200", "http://127.0.0.1:1", "http://[::1]", "http://localhost"]
)
def test_an_address_over_tls_or_on_this_machine_is_taken(text: str) -> None:
    assert checked_address(text) == httpx.URL(text)


@pytest.mark.parametrize(
    "text",
    ["http://vault.example", "http://10.0.0.1", "ftp://localhost", "https://", "vault.example",
     "https://u:canary@vault.example", "https://vault.example?a=canary", "https://v/#canary",
     "https://[::canary", ""],
)  # fmt: skip
def test_another_address_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        checked_address(text)
    assert "canary" not in str(refused.value)
