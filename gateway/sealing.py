"""The composition of the keyring's seal: settings → a service that opens it."""

from __future__ import annotations

import os
import ssl
from functools import partial
from pathlib import Path
from typing import NamedTuple

import httpx
from pydantic import SecretStr

from gateway.adapters.providers.sigv4 import Signer
from gateway.adapters.providers.ssrf import AddressRefused, check_url, guarded
from gateway.adapters.providers.wire import AiohttpTransport, Timeouts
from gateway.adapters.seals import (
    Asking,
    KmsSeal,
    TransitKey,
    VaultSeal,
    checked_address,
    region_of,
)
from gateway.core.seals import KeyringSeal
from gateway.settings import Settings

LIMITS = Timeouts(connect=5.0, first_byte=10.0, idle=10.0, total=20.0)


class Former(NamedTuple):
    """A seal that the settings name no more, and the token for it where it has one of its own."""

    seal: str
    token: SecretStr | None = None


def build_seal(settings: Settings, former: Former | None = None) -> KeyringSeal | None:
    """What the keyring rests sealed by, or `former`; None where it rests in the clear.

    Nobody is asked yet. Raises `ValueError`, which names the setting.
    """
    named = former.seal if former else settings.keyring.seal
    if named is None:
        return None
    kind, _, place = named.partition(":")
    try:
        match kind:
            case "vault":
                return _vault(settings, place, former.token if former else None)
            case "awskms":
                return _kms(settings, place)
        raise ValueError("vault:https://HOST/MOUNT/KEY, or awskms:KEY, is wanted")
    except (ValueError, AddressRefused, OSError, httpx.InvalidURL) as error:
        raise ValueError(f"{'--from' if former else 'GOVGATE_KEYRING__SEAL'}: {error}") from None


def _vault(settings: Settings, place: str, token: SecretStr | None) -> VaultSeal:
    told = settings.keyring
    key = TransitKey.parsed(place)
    token = token or told.vault_token
    if token is None or not token.get_secret_value():
        raise ValueError("GOVGATE_KEYRING__VAULT_TOKEN is missing: Vault wants a token")
    if not token.get_secret_value().isprintable() or not token.get_secret_value().isascii():
        raise ValueError("GOVGATE_KEYRING__VAULT_TOKEN is no token")
    return VaultSeal(key, token, told.vault_namespace, _asking(key.address, told.vault_ca))


def _kms(settings: Settings, key: str) -> KmsSeal:
    told, env = settings.keyring, os.environ
    region = told.kms_region or region_of(key)
    region = region or env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION")
    if not region:
        raise ValueError("GOVGATE_KEYRING__KMS_REGION is missing, and no ARN names a region")
    own = told.kms_access_key_id is not None or told.kms_secret_access_key is not None
    id = told.kms_access_key_id if own else env.get("AWS_ACCESS_KEY_ID")
    secret = told.kms_secret_access_key if own else _secret("AWS_SECRET_ACCESS_KEY")
    session = told.kms_session_token if own else _secret("AWS_SESSION_TOKEN")
    if not id or secret is None:
        raise ValueError(
            "GOVGATE_KEYRING__KMS_ACCESS_KEY_ID and its SECRET_ACCESS_KEY are missing, "
            "and so are AWS's own variables"
        )
    endpoint = checked_address(told.kms_endpoint) if told.kms_endpoint else None
    sign = Signer(SecretStr(id), secret, session, region, "kms").signed
    return KmsSeal(key, region, sign, _asking(endpoint, None), endpoint)


def _secret(name: str) -> SecretStr | None:
    value = os.environ.get(name)
    return SecretStr(value) if value else None


def _asking(address: httpx.URL | None, ca: Path | None) -> Asking:
    """How a service is asked. Whoever sets its address is believed: it may be in a private net.

    Raises `AddressRefused`, and `OSError` for authorities that cannot be read.
    """
    if address is not None:
        check_url(str(address), allow_private=True)
    context = ssl.create_default_context(cafile=ca)
    guard = guarded(allow_private=True)
    return Asking(
        partial(AiohttpTransport, LIMITS, connections=1, ssl_context=context, open_socket=guard)
    )
