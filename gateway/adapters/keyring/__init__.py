"""The keyring: the secrets that records rest on, and the file that they are kept in."""

from gateway.adapters.keyring.document import Header, KeyringError, header_of
from gateway.adapters.keyring.keyring import Keyring

__all__ = ["Header", "Keyring", "KeyringError", "header_of"]
