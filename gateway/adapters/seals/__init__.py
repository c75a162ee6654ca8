"""What seals a keyring at rest: HashiCorp Vault's and OpenBao's transit engine, AWS KMS."""

from gateway.adapters.seals.asking import Asking, checked_address
from gateway.adapters.seals.aws_kms import KmsSeal, region_of
from gateway.adapters.seals.vault import TransitKey, VaultSeal

__all__ = ["Asking", "KmsSeal", "TransitKey", "VaultSeal", "checked_address", "region_of"]
