"""What a keyring at rest is sealed by: a service that keeps a key and never gives it away."""

from __future__ import annotations

from typing import Protocol


class SealError(RuntimeError):
    """The service cannot be reached, refuses, or what it is asked to open is not its own.

    The message names the service and what to check; it never holds a secret.
    """


class KeyringSeal(Protocol):
    """Encrypts small secrets under a key that stays in a service. Blocks while it is asked."""

    @property
    def name(self) -> str:
        """Which service, and which key of it, as the setting names them."""

    def seal(self, secret: bytes, context: str) -> str:
        """`secret`, some 32 bytes, encrypted for `context` alone. Raises `SealError`."""

    def unseal(self, sealed: str, context: str) -> bytes:
        """What was sealed for `context`. Raises `SealError`, also for what was altered."""
