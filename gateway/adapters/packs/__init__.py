"""Policy packs: directories of YAML that the policy engines are given as data."""

from gateway.adapters.packs.documents import PackError, Problem
from gateway.adapters.packs.loading import Pack, engine, load_pack, well_formed
from gateway.adapters.packs.tables import Case, check_tables, question_of

__all__ = [
    "Case",
    "Pack",
    "PackError",
    "Problem",
    "check_tables",
    "engine",
    "load_pack",
    "question_of",
    "well_formed",
]
