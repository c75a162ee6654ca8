"""The key that bundles for OPA servers are signed with: an RSA key in a file of its owner's."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from joserfc.util import urlsafe_b64encode

from gateway.core.policy_bundles import NAME

ALGORITHM = "RS256"
"""What OPA verifies unless it is told otherwise; the same bytes are always signed the same."""

_BITS = 3072
_TOO_OPEN = 0o077
_HEADER = b'{"alg":"RS256","kid":"' + NAME.encode() + b'","typ":"JWT"}'


class BundleKeyError(RuntimeError):
    """The key is unreadable, too open, or no such key."""


class BundleKey:
    """Signs bundles."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key = key

    @classmethod
    def open(cls, path: Path) -> BundleKey:
        """The key at `path`, made there (mode 0600) when there is none yet.

        Where another process was first, its key counts. Raises `BundleKeyError`.
        """
        try:
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                _add(path, _made())
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode & 0o777
                content = file.read()
            if mode & _TOO_OPEN:
                raise BundleKeyError(f"others may use the key {path} ({mode:o}): chmod 600")
            key = serialization.load_pem_private_key(content, None)
        except OSError as error:
            raise BundleKeyError(f"{path} cannot be read: {error.strerror}") from error
        except (ValueError, TypeError) as error:
            raise BundleKeyError(f"the file {path} is not a private key in PEM") from error
        if not isinstance(key, rsa.RSAPrivateKey):
            raise BundleKeyError(f"the key {path} is not an RSA key")
        return cls(key)

    @property
    def public_pem(self) -> str:
        """What servers verify with."""
        return (
            self._key.public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            .decode()
        )

    def sign(self, payload: bytes) -> str:
        """`payload` as a JSON Web Signature, in its compact form (RFC 7515 §3.1)."""
        signed = urlsafe_b64encode(_HEADER) + b"." + urlsafe_b64encode(payload)
        signature = self._key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        return (signed + b"." + urlsafe_b64encode(signature)).decode()


def _made() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _add(path: Path, content: bytes) -> None:
    """Put a file where there is none; whole or not at all, durable on return."""
    fresh = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
