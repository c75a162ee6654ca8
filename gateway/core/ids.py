"""Identifiers that sort by time: a prefix and a UUIDv7 (RFC 9562 §5.7) in hexadecimal."""

from __future__ import annotations

import random
import time

_VERSION = 0x7 << 76
_VARIANT = 0b10 << 62
_RANDOM = ~(0xF << 76 | 0b11 << 62)


def new_id(prefix: str) -> str:
    """`prefix_` and 32 hexadecimal digits: 48 bits of milliseconds, then 74 random bits.

    Unique, not secret: nothing is granted to who guesses one.
    """
    noise = random.getrandbits(80) & _RANDOM
    return f"{prefix}_{(time.time_ns() // 1_000_000) << 80 | noise | _VERSION | _VARIANT:032x}"
