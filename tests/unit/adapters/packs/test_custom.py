"""Kinds that packs bring, as far as their text alone shows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.packs import PackError, compose, load_pack, sentences
from gateway.adapters.packs.custom import custom_kinds
from tests.unit.adapters.packs.rego import REGO, pack_of

NAME = "custom:token_ceiling"


def test_a_rule_names_the_module_of_its_text() -> None:
    pack = load_pack(pack_of())
    [kind] = pack.custom
    data = pack.data["rules"][NAME]["tokens.ceiling"]
    assert data["module"] == kind.module
    assert data["params"] == {"most": 4000}
    assert data["code"] == "custom_rule"
    other = load_pack(pack_of(REGO + "\n# Another text.\n"))
    assert other.custom[0].module != kind.module
    assert other.revision != pack.revision
    assert pack.data["rules"]["model_access"]["admit"].get("module") is None


@given(before=st.text("# \n\tpackage.govcustm_eilg", max_size=60).map(lambda text: "#" + text))
def test_the_package_alone_is_renamed(before: str) -> None:
    """Whatever stands in the comments before it."""
    comments = "\n".join(f"# {line}" for line in before.split("\n"))
    text = f"{comments}\n# package govgate.custom.token_ceiling\n{REGO}"
    [kind] = custom_kinds(pack_of(text)).values()
    was, now = text.split("\n"), kind.compiled_text.split("\n")
    assert len(was) == len(now)
    changed = [(one, other) for one, other in zip(was, now, strict=True) if one != other]
    assert changed == [
        ("package govgate.custom.token_ceiling", f"package govgate.custom.{kind.module}")
    ]


def test_what_no_rule_uses_is_not_part_of_what_is_in_force() -> None:
    assert load_pack(pack_of(mode="off")).custom == []
    assert compose([load_pack(pack_of(mode="off"))]).custom == ()
    assert len(compose([load_pack(pack_of(mode="observe"))]).custom) == 1


def test_the_same_kind_of_two_packs_is_one_module_and_another_text_another() -> None:
    def second(rego: str) -> dict[str, str]:
        files = pack_of(rego)
        files["pack.yaml"] = files["pack.yaml"].replace("id: mine", "id: theirs")
        files["rules/tokens.yaml"] = files["rules/tokens.yaml"].replace("tokens.", "theirs.")
        del files["rules/admit.yaml"]
        return files

    mine = load_pack(pack_of())
    assert len(compose([mine, load_pack(second(REGO))]).custom) == 1
    both = compose([mine, load_pack(second(REGO + "\n"))])
    assert len(both.custom) == 2
    rules = both.data["rules"][NAME]
    assert {rules[id]["module"] for id in rules} == {kind.module for kind in both.custom}


def test_a_decision_may_rest_on_the_whole_question() -> None:
    assert {"subject", "action", "resource", "context"} <= load_pack(pack_of()).reads


@pytest.mark.parametrize(
    ("on_match", "said"), [("deny", "refuse the request"), ("review", "hold the request")]
)
def test_its_sentence_says_what_is_checked_with_what(on_match: str, said: str) -> None:
    pack = load_pack(pack_of(on_match=on_match))
    assert sentences(pack, "en")["tokens.ceiling"].startswith(
        f"When “token_ceiling”, a check in Rego of this pack (with most = 4000), finds something, "
        f"{said}"
    )
    assert "token_ceiling" in sentences(pack, "fr")["tokens.ceiling"]


@pytest.mark.parametrize("name", ["rego/T.rego", "rego/a-b.rego", f"rego/{'a' * 41}.rego"])
def test_a_name_that_is_no_kind(name: str) -> None:
    with pytest.raises(PackError, match="no file of Rego may be called so"):
        load_pack({**pack_of(), name: REGO})
