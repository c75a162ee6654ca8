# Questions to a server that holds several revisions.
package govgate_test

import data.govgate

served := {
	"sha256:one": pack({}),
	"sha256:two": {"revision": "sha256:two", "rules": {}, "exceptions": {}},
}

put(revision) := {"revision": revision, "question": question}

test_each_revision_decides_for_itself if {
	admits := govgate.answer with input as put("sha256:one") with data.packs as served
	admits.revision == "sha256:test"
	admits.decision.effect == "allow"
	refuses := govgate.answer with input as put("sha256:two") with data.packs as served
	refuses.revision == "sha256:two"
	refuses.decision.effect == "deny"
	refuses.decision.reasons[0].code == "model_not_admitted"
}

test_a_revision_that_is_not_here_is_told if {
	nothing := {"revision": null, "decision": null}
	some revision in ["sha256:three", null, 1, ""]
	nothing == govgate.answer with input as put(revision) with data.packs as served
}

test_without_any_revision_nothing_is_decided if {
	nothing := {"revision": null, "decision": null}
	nothing == govgate.answer with input as put("sha256:one")
	not govgate.answer with input as question with data.packs as served
}

test_rules_that_stand_at_data_pack_do_not_count if {
	answer := govgate.answer with input as put("sha256:two") with data.packs as served with data.pack as pack({})
	answer.decision.effect == "deny"
}
