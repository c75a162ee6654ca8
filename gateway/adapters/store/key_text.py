"""What an API key looks like: `gg_<env>_<8 of id>_<43 of secret>_<6 of checksum>`.

The id and the checksum let a mistyped or truncated key be refused without a query, and let
scanners tell a leaked one. The secret is 32 random bytes in base 62.
"""

from __future__ import annotations

import secrets
import zlib
from dataclasses import dataclass, field

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID, _SECRET, _CHECKSUM = 8, 43, 6
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class KeyText:
    """The parts of a key."""

    env: str
    key_id: str
    secret: str = field(repr=False)

    @classmethod
    def new(cls, env: str, key_id: str | None = None) -> KeyText:
        """A fresh secret, for a new id unless one is given.

        Raises `ValueError` unless `env` is 1 to 16 lower-case letters and digits.
        """
        if not (env.isascii() and env.isalnum() and env == env.lower() and len(env) <= 16):
            raise ValueError(f"not the name of an environment: {env!r}")
        if key_id is None:
            key_id = "".join(secrets.choice(_ALPHABET) for _ in range(_ID))
        number = int.from_bytes(secrets.token_bytes(_SECRET_BYTES))
        return cls(env, key_id, _base62(number, _SECRET))

    @classmethod
    def parse(cls, text: str) -> KeyText | None:
        """The parts of `text`; None when it is no key, or its checksum is wrong."""
        match text.split("_"):
            case ["gg", env, key_id, secret, checksum]:
                pass
            case _:
                return None
        if (len(key_id), len(secret), len(checksum)) != (_ID, _SECRET, _CHECKSUM):
            return None
        key = cls(env, key_id, secret)
        return key if text.isascii() and key.text == text else None

    @property
    def text(self) -> str:
        """The key as it is shown, once."""
        body = f"gg_{self.env}_{self.key_id}_{self.secret}"
        return f"{body}_{_base62(zlib.crc32(body.encode()), _CHECKSUM)}"


def _base62(number: int, width: int) -> str:
    digits = ""
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits = _ALPHABET[digit] + digits
    return digits
