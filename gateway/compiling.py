"""The composition of the compiler: Rego that packs bring, as modules that decide."""

from __future__ import annotations

from gateway.adapters.packs import Compiler, Modules
from gateway.settings import Settings


def modules_of(settings: Settings) -> Modules:
    """Where Rego of packs is compiled, and what was is kept."""
    compiler = Compiler(settings.policy.opa_binary)
    return Modules(compiler, settings.data_dir / "policy-modules")
