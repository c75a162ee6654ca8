"""The policy engine beside the node: an OPA server, and what it needs."""

from gateway.adapters.opa.breaker import Breaker
from gateway.adapters.opa.child import OpaChild
from gateway.adapters.opa.library import library
from gateway.adapters.opa.server import OpaServer, OpaServerPolicy

__all__ = ["Breaker", "OpaChild", "OpaServer", "OpaServerPolicy", "library"]
