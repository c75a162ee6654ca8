# What rules amount to: precedence, modes, dates, exceptions and floors.
package govgate_test

import data.govgate

test_a_plain_question_is_allowed if {
	decision := govgate.decision with input as question with data.pack as pack({})
	decision == {
		"effect": "allow",
		"reasons": [{
			"rule": "admit", "code": "tested", "message": {"en": "Tested."},
			"severity": "low", "facts": {"model": "gpt-4o"},
		}],
		"obligations": [],
		"observed": [],
		"overridden": [],
	}
}

test_without_a_pack_everything_is_denied if {
	decision := govgate.decision with input as question
	decision.effect == "deny"
	rule_ids(decision.reasons) == ["default.model"]
}

test_without_a_question_everything_is_denied if {
	decision := govgate.decision with data.pack as pack({})
	decision.effect == "deny"
	decision.reasons[0].code == "question_malformed"
}

test_a_decision_that_comes_to_nothing_is_denied if {
	decision := govgate.decision with input as question
		with data.pack as pack({})
		with govgate.effect as "unheard of"
	decision.effect == "deny"
	decision.reasons[0].code == "policy_undefined"
}

test_a_rule_denies_even_without_its_reason if {
	spoilt := json.remove(changed({}), ["rules/phrase/banned/message"])
	decision := decided(spoilt)
	decision.effect == "deny"
	decision.reasons == []
}

banned := rule("phrase", {
	"params": {"direction": "input", "labels": ["weapons"], "min_score": 0},
	"on_match": "deny",
	"severity": "critical",
})

held := rule("secret", {
	"params": {"direction": "input", "labels": ["KEY"], "min_score": 0.5},
	"on_match": "review",
})

mixed := pack({"phrase": {"banned": banned}, "secret": {"held": held}, "pii": {"masked": mask}})

email := finding("pii", "EMAIL")

key := finding("secret", "KEY")

test_deny_wins if {
	decision := govgate.decision with data.pack as mixed
		with input as asked({"findings": [email, key, finding("phrase", "weapons")]})
	decision.effect == "deny"
	rule_ids(decision.reasons) == ["banned"]
	decision.obligations == []
}

test_then_review if {
	decision := govgate.decision with data.pack as mixed
		with input as asked({"findings": [email, key]})
	decision.effect == "review"
	rule_ids(decision.reasons) == ["held"]
	decision.obligations == []
}

test_an_approved_review_lets_the_rest_stand if {
	decision := govgate.decision with data.pack as mixed
		with input as asked({
			"findings": [email, key],
			"review": {"id": "r", "state": "approved"},
		})
	decision.effect == "allow"
	rule_ids(decision.obligations) == ["masked"]
}

test_an_open_review_is_held if {
	decision := govgate.decision with data.pack as mixed
		with input as asked({"findings": [key], "review": {"id": "r", "state": "open"}})
	decision.effect == "review"
}

test_an_approved_review_lifts_no_denial if {
	decision := govgate.decision with data.pack as mixed
		with input as asked({
			"findings": [finding("phrase", "weapons")],
			"review": {"id": "r", "state": "approved"},
		})
	decision.effect == "deny"
}

test_the_most_severe_reason_comes_first if {
	decision := govgate.decision with data.pack as mixed
		with input as asked({
			"findings": [finding("phrase", "weapons")],
			"unavailable": ["pii"],
		})
	rule_ids(decision.reasons) == ["banned", "default.unavailable"]
}

# Modes and dates

changed(more) := pack({"phrase": {"banned": object.union(banned, more)}})

decided(policy) := decision if {
	decision := govgate.decision with data.pack as policy
		with input as asked({"findings": [finding("phrase", "weapons")]})
}

test_a_rule_that_is_off_does_nothing if {
	decision := decided(changed({"mode": "off"}))
	decision.effect == "allow"
	decision.observed == []
}

test_a_rule_in_another_mode_does_nothing if {
	decided(changed({"mode": "sometimes"})).effect == "allow"
}

test_an_observed_rule_is_only_reported if {
	decision := decided(changed({"mode": "observe"}))
	decision.effect == "allow"
	rule_ids(decision.reasons) == ["admit"]
	decision.observed == [{"rule": "banned", "would": "deny"}]
}

test_dates_begin_at_their_second_and_end_before_it if {
	decided(changed({"from": "2026-06-15T12:00:00"})).effect == "deny"
	decided(changed({"from": "2026-06-15T12:00:01"})).effect == "allow"
	decided(changed({"until": "2026-06-15T12:00:01"})).effect == "deny"
	decided(changed({"until": "2026-06-15T12:00:00"})).effect == "allow"
}

# Where a rule applies

test_selectors if {
	every when in [
		{}, {"apps": ["shop-*"]}, {"teams": ["research", "support"]}, {"tags": ["public"]},
		{"models": ["gpt-4o"]}, {"hosting": ["external"]}, {"apps": ["*"], "tags": ["public"]},
		{"regions": ["us", "eu"]},
	] {
		decided(changed({"when": when})).effect == "deny"
	}
	every when in [
		{"apps": ["lab"]}, {"teams": ["research"]}, {"tags": ["internal"]},
		{"models": ["gpt-4o-mini"]}, {"hosting": ["internal"]}, {"unheard_of": ["x"]},
		{"regions": ["ch"]},
		{"apps": ["*"], "tags": ["internal"]},
	] {
		decided(changed({"when": when})).effect == "allow"
	}
}

# A rule of a pack with attachments applies where one of them selects, and its own `when` too.
test_attachments if {
	here := {"apps": ["shop-bot"]}
	elsewhere := {"apps": ["lab"]}
	every places in [null, [{}], [here], [elsewhere, here]] {
		decided(changed({"attached": places})).effect == "deny"
	}
	every places in [[], [elsewhere], [elsewhere, {"unheard_of": ["x"]}]] {
		decided(changed({"attached": places})).effect == "allow"
	}
	decided(changed({"attached": [here], "when": elsewhere})).effect == "allow"
}

test_patterns if {
	every pattern in ["abcabc", "*", "a*", "*c", "a*c", "*bc*", "a*b*c", "abc*abc", "**"] {
		govgate.like_any([pattern], "abcabc")
	}
	every pattern in ["abc", "b*", "*b", "abcab*bcabc", "*x*", "a*x*c", "abca*b*cabc", "", "ABCABC"] {
		not govgate.like_any([pattern], "abcabc")
	}
	not govgate.like_any(["*"], null)
	not govgate.like_any([], "abcabc")
}

# Exceptions and floors

waived(until, when, more) := object.union(
	changed(more),
	{"exceptions": {"banned": {"x": {"until": until, "when": when}}}},
)

test_an_exception_sets_a_rule_aside if {
	decision := decided(waived("2026-07-01T00:00:00", {"apps": ["shop-bot"]}, {}))
	decision.effect == "allow"
	decision.overridden == [{"rule": "banned", "by": "x"}]
}

test_an_exception_ends if {
	decision := decided(waived("2026-06-15T12:00:00", {}, {}))
	decision.effect == "deny"
	decision.overridden == []
}

test_an_exception_is_for_some if {
	decided(waived("2026-07-01T00:00:00", {"apps": ["lab"]}, {})).effect == "deny"
}

test_an_exception_to_a_rule_that_does_not_hit_is_not_told if {
	decision := govgate.decision with input as question
		with data.pack as waived("2026-07-01T00:00:00", {}, {})
	decision.effect == "allow"
	decision.overridden == []
}

test_a_floor_cannot_be_excepted if {
	decision := decided(waived("2026-07-01T00:00:00", {}, {"floor": true}))
	decision.effect == "deny"
	decision.overridden == [{"rule": "x", "by": "banned"}]
}
