"""A seal without a service: it remembers what it sealed."""

from __future__ import annotations

from gateway.core.seals import SealError


class FakeSeal:
    """Implements `KeyringSeal`. `asked` counts what it was asked; `down` makes it fail."""

    def __init__(self, name: str = "fake:seal") -> None:
        self._name = name
        self._sealed: dict[str, tuple[bytes, str]] = {}
        self.asked: list[str] = []
        self.down = False
        self.forgets = False

    @property
    def name(self) -> str:
        return self._name

    def seal(self, secret: bytes, context: str) -> str:
        self._ask("seal")
        sealed = f"{self._name}:{len(self._sealed)}"
        self._sealed[sealed] = (secret, context)
        return sealed

    def unseal(self, sealed: str, context: str) -> bytes:
        self._ask("unseal")
        secret, whose = self._sealed.get(sealed, (b"", ""))
        if whose != context or self.forgets:
            raise SealError(f"{self._name} did not seal this")
        return secret

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.down:
            raise SealError(f"{self._name} cannot be reached")
