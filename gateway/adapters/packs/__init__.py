"""Policy packs: files of YAML that the policy engines are given as data."""

from gateway.adapters.packs.changes import (
    AddCase,
    AddException,
    AddList,
    AddPhrase,
    AddRule,
    Change,
    EditError,
    RemoveCase,
    RemoveException,
    RemovePhrase,
    RemoveRule,
    RemoveValue,
    SetValue,
)
from gateway.adapters.packs.checking import Checked, check
from gateway.adapters.packs.compiling import Compiler, Modules
from gateway.adapters.packs.composing import Composed, Ruleset, compose
from gateway.adapters.packs.editing import edit
from gateway.adapters.packs.folder import digest_of, read_folder, write_folder
from gateway.adapters.packs.loading import Pack, load_pack
from gateway.adapters.packs.problems import PackError, Problem
from gateway.adapters.packs.schema import engine, well_formed
from gateway.adapters.packs.sentences import sentence, sentences
from gateway.adapters.packs.tables import Case, check_tables, question_of
from gateway.adapters.packs.telling import as_github, as_json, as_text
from gateway.adapters.packs.template import new_pack

__all__ = [
    "AddCase",
    "AddException",
    "AddList",
    "AddPhrase",
    "AddRule",
    "Case",
    "Change",
    "Checked",
    "Compiler",
    "Composed",
    "EditError",
    "Modules",
    "Pack",
    "PackError",
    "Problem",
    "RemoveCase",
    "RemoveException",
    "RemovePhrase",
    "RemoveRule",
    "RemoveValue",
    "Ruleset",
    "SetValue",
    "as_github",
    "as_json",
    "as_text",
    "check",
    "check_tables",
    "compose",
    "digest_of",
    "edit",
    "engine",
    "load_pack",
    "new_pack",
    "question_of",
    "read_folder",
    "sentence",
    "sentences",
    "well_formed",
    "write_folder",
]
