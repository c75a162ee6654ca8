"""Which addresses a call may go to. Asked of every address that a connection is made to.

Link-local addresses and those at which clouds tell a machine its secrets are refused always;
loopback and private ones unless they are allowed. An address that carries an IPv4 address
inside is judged by both.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TypeAlias

import httpx
from aiohttp import AddrInfoType

Address: TypeAlias = IPv4Address | IPv6Address
OpenSocket: TypeAlias = Callable[[AddrInfoType], socket.socket]

_METADATA = frozenset(
    ip_address(text)
    for text in (
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure's host
        "169.254.169.254",  # most of them
        "192.0.0.192",  # Oracle
        "fd00:ec2::254",  # AWS
        "fd20:ce::254",  # Google
    )
)
_METADATA_NAMES = ("metadata.google.internal", "metadata", "instance-data")
_NAT64 = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))
_COMPATIBLE = ip_network("::/96")
_ALSO_PRIVATE = (ip_network("fec0::/10"), ip_network("100.64.0.0/10"))


class AddressRefused(OSError):
    """A connection would go where no call may go."""

    def __init__(self, why: str) -> None:
        super().__init__(errno.EACCES, why)

    def __str__(self) -> str:
        return str(self.strerror)


def check(address: str, *, allow_private: bool) -> None:
    """Raise `AddressRefused` unless a call may go to `address`, a literal IP address."""
    try:
        outer = ip_address(address.partition("%")[0])
    except ValueError as error:
        raise AddressRefused(f"not an address: {address!r}") from error
    for meant in _meant(outer):
        if why := _refused(meant, allow_private):
            raise AddressRefused(f"{address} is {why}")


def check_url(base_url: str, *, allow_private: bool) -> None:
    """Raise `AddressRefused` where a base URL itself says that it goes astray.

    A name is looked up only when a connection is made: see `guarded`.
    """
    host = httpx.URL(base_url).host.rstrip(".").lower()
    if host in _METADATA_NAMES:
        raise AddressRefused(f"{host} is a cloud's metadata service")
    if not allow_private and (host == "localhost" or host.endswith(".localhost")):
        raise AddressRefused(f"{host} is this machine")
    try:
        ip_address(host)
    except ValueError:
        return
    check(host, allow_private=allow_private)


def guarded(*, allow_private: bool) -> OpenSocket:
    """What opens the socket of each connection, after its address was looked up and checked.

    The connection goes to the very address that was checked, so that a name cannot change
    its meaning in between.
    """

    def opened(info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        check(str(address[0]), allow_private=allow_private)
        return socket.socket(family, kind, protocol)

    return opened


def _refused(address: Address, allow_private: bool) -> str | None:
    """Why no call may go there."""
    if address in _METADATA:
        return "a cloud's metadata service"
    if address.is_link_local:
        return "a link-local address"
    if address.is_unspecified or address.is_multicast:
        return "no address of one machine"
    shared = any(address in network for network in _ALSO_PRIVATE)
    if not (address.is_loopback or shared) and address.is_reserved:
        return "a reserved address"
    if address.is_loopback or shared or not address.is_global:
        return None if allow_private else "a private address, and allow_private is not set"
    return None


def _meant(address: Address) -> Sequence[Address]:
    """The addresses that are reached under this one, or that its packets may end up at."""
    if isinstance(address, IPv4Address):
        return [address]
    last = IPv4Address(int(address) & 0xFFFF_FFFF)
    if address.ipv4_mapped is not None or any(address in network for network in _NAT64):
        return [last]  # another way to write it
    if address.sixtofour is not None:
        return [address, address.sixtofour]
    if address.teredo is not None:
        return [address, *address.teredo]
    return [address, last] if address in _COMPATIBLE and int(address) > 1 else [address]
