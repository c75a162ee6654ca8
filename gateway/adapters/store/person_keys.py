"""Keys of subjects and of found values: each random, wrapped by the keyring, destroyed alone."""

from __future__ import annotations

import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.adapters.store.sealing import Tampered

SUBJECT, VALUE = "sky", "vky"
"""How the ids of such keys begin."""
_NONCE = 12


class PersonKey:
    """One such key, opened."""

    __slots__ = ("id", "pseudonym", "secret")

    def __init__(self, id: str, secret: bytes) -> None:
        self.id = id
        self.secret = secret
        self.pseudonym = hmac.digest(secret, b"pseudonym", "sha256").hex()[:32]
        """What stands for a subject in headers: with the key goes what links them."""

    def session(self, name: str) -> str:
        """What stands for a session of the subject's in headers."""
        return hmac.digest(self.secret, b"session|" + name.encode(), "sha256").hex()[:32]

    def wrap(self, key: bytes, context: str) -> tuple[str, bytes]:
        """`key` encrypted for `context`, and the id of this one."""
        nonce = os.urandom(_NONCE)
        return self.id, nonce + self._cipher(context).encrypt(nonce, key, context.encode())

    def unwrap(self, wrapped: bytes, context: str) -> bytes:
        """The key that was wrapped. Raises `Tampered` when it is another's, or altered."""
        nonce, sealed = wrapped[:_NONCE], wrapped[_NONCE:]
        try:
            return self._cipher(context).decrypt(nonce, sealed, context.encode())
        except (InvalidTag, ValueError) as error:
            raise Tampered(f"the wrapped key of {context} was altered") from error

    def _cipher(self, context: str) -> AESGCM:
        return AESGCM(hmac.digest(self.secret, b"wrap1" + context.encode(), "sha256"))


def subject_mac(index_key: bytes, org: str, subject: str) -> bytes:
    """The keyed hash by which a subject, such as `user:ann`, is found in an organisation."""
    return _mac(index_key, "subject", org, subject)


def value_mac(index_key: bytes, org: str, form: str) -> bytes:
    """The keyed hash by which a value is found; `form` is its normal form."""
    return _mac(index_key, "value", org, form)


def _mac(index_key: bytes, what: str, *said: str) -> bytes:
    """Over names that are told apart by their lengths."""
    text = [each.encode(errors="surrogatepass") for each in (what, *said)]
    return hmac.digest(index_key, b"".join(len(t).to_bytes(8) + t for t in text), "sha256")
