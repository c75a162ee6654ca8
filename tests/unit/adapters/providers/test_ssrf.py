"""No call goes where a cloud tells secrets; to private places only where that is allowed."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.providers.replay_server import ReplayServer
from gateway.adapters.providers.ssrf import AddressRefused, check, check_url, guarded
from gateway.adapters.providers.wire import AiohttpTransport
from tests.fakes.provider import serving

PRIVATE = ["127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1",
           "198.18.0.1", "::1", "fd12::1", "fec0::1", "::ffff:10.0.0.1", "64:ff9b::a00:1",
           "2002:a00:1::", "::ffff:127.0.0.1"]  # fmt: skip
NEVER = ["169.254.169.254", "169.254.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192",
         "fd00:ec2::254", "fd20:ce::254", "fe80::1", "fe80::1%eth0", "0.0.0.0", "::", "224.0.0.1",
         "ff02::1", "255.255.255.255", "240.0.0.1", "::ffff:169.254.169.254",
         "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "::169.254.169.254", "not an address",
         ""]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


def allowed(address: str, *, private: bool) -> bool:
    try:
        check(address, allow_private=private)
    except AddressRefused:
        return False
    return True


@pytest.mark.parametrize("address", PUBLIC)
def test_the_public_internet_is_open(address: str) -> None:
    assert allowed(address, private=False)
    assert allowed(address, private=True)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_places_are_for_who_allows_them(address: str) -> None:
    assert not allowed(address, private=False)
    assert allowed(address, private=True)


@pytest.mark.parametrize("address", NEVER)
def test_some_places_are_for_nobody(address: str) -> None:
    assert not allowed(address, private=False)
    assert not allowed(address, private=True)


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_alike_however_it_is_written(address: IPv4Address) -> None:
    for private in (False, True):
        plain = allowed(str(address), private=private)
        for prefix in ("::ffff:0:0", "64:ff9b::"):
            wrapped = IPv6Address(int(IPv6Address(prefix)) | int(address))
            assert allowed(str(wrapped), private=private) == plain
        carried = IPv6Address((0x2002 << 112) | (int(address) << 80))
        assert plain or not allowed(str(carried), private=private)


@given(st.ip_addresses())
def test_what_is_open_to_all_is_global(address: IPv4Address | IPv6Address) -> None:
    mapped = getattr(address, "ipv4_mapped", None) or address
    if allowed(str(address), private=False) and not str(address).startswith("64:ff9b:"):
        assert mapped.is_global
        assert allowed(str(address), private=True)


@pytest.mark.parametrize(
    ("url", "private", "good"),
    [
        ("https://api.example.org/v1", False, True),
        ("https://8.8.8.8/v1", False, True),
        ("http://localhost:8000/v1", False, False),
        ("http://LOCALHOST./v1", False, False),
        ("http://a.localhost/v1", False, False),
        ("http://localhost:8000/v1", True, True),
        ("http://127.0.0.1:8000/v1", False, False),
        ("http://[::1]/v1", False, False),
        ("http://[::1]/v1", True, True),
        ("http://metadata.google.internal/v1", True, False),
        ("http://169.254.169.254/latest", True, False),
    ],
)
def test_a_base_url_that_says_where_it_goes_is_checked_at_once(
    url: str, private: bool, good: bool
) -> None:
    if good:
        check_url(url, allow_private=private)
        return
    with pytest.raises(AddressRefused):
        check_url(url, allow_private=private)


def test_a_socket_is_opened_only_for_an_address_that_was_checked() -> None:
    info = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1))
    guarded(allow_private=True)(info).close()
    with pytest.raises(AddressRefused):
        guarded(allow_private=False)(info)


async def test_a_name_that_leads_to_a_private_place_is_not_connected_to() -> None:
    server = ReplayServer()
    with serving(server) as url:
        port = httpx.URL(url).port
        request = httpx.Request("GET", f"http://localhost:{port}/v1/models")
        shut = AiohttpTransport(open_socket=guarded(allow_private=False))
        with pytest.raises(httpx.ConnectError):
            await shut.handle_async_request(request)
        await shut.aclose()
        opened = AiohttpTransport(open_socket=guarded(allow_private=True))
        response = await opened.handle_async_request(request)
        await response.aclose()
        await opened.aclose()
    assert response.status_code == 200
