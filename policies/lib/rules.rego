# Which rules are in force for this question, and what became of those that hit.
package govgate

# A rule that is off never reaches the engine, or never counts here.
in_force(rule) if {
	rule.mode in {"observe", "enforce"}
	begun(rule.from)
	not over(rule.until)
	attached(rule.attached)
	applies(rule.when)
}

# Where the attachments of its pack put a rule: anywhere when it has none, else where one selects.
attached(null)

attached(places) if {
	some where in places
	applies(where)
}

begun(null)

begun(from) if from <= now

over(until) if {
	is_string(until)
	until <= now
}

# Every selector must select. One that this library does not know selects nothing.
applies(when) if {
	every selector, wanted in when { selects(selector, wanted) }
}

selects("apps", patterns) if like_any(patterns, input.subject.id)

selects("teams", patterns) if like_any(patterns, input.subject.properties.team)

selects("models", patterns) if like_any(patterns, input.resource.id)

selects("hosting", wanted) if input.resource.properties.hosting in wanted

selects("regions", wanted) if input.resource.properties.region in wanted

selects("tags", wanted) if {
	some tag in input.subject.properties.tags
	tag in wanted
}

like_any(patterns, text) if {
	some pattern in patterns
	like(split(pattern, "*"), text)
}

# A pattern is text in which `*` stands for any run of characters, twice at most.
like([whole], text) if whole == text

like([start, end], text) if {
	count(text) >= count(start) + count(end)
	startswith(text, start)
	endswith(text, end)
}

like([start, middle, end], text) if {
	inner := (count(text) - count(start)) - count(end)
	inner >= count(middle)
	startswith(text, start)
	endswith(text, end)
	contains(substring(text, count(start), inner), middle)
}

# A rule that only oblige speaks of the request as a whole; one completed tool call can be
# allowed, held or denied, and nothing else.
live contains id if {
	some id, _ in hits
	stage == "request"
}

live contains id if {
	some id, hit in hits
	hit.would in {"allow", "deny", "review"}
}

enforced contains id if {
	some id in live
	hits[id].rule.mode == "enforce"
	not set_aside[id]
}

observed contains id if {
	some id in live
	hits[id].rule.mode == "observe"
}

overridden contains {"rule": id, "by": by} if {
	some id, by in set_aside
}

# A floor cannot be weakened: it sets aside the exception.
overridden contains {"rule": exception, "by": id} if {
	some id in live
	hits[id].rule.floor
	some exception in exceptions(id)
}

set_aside[id] := min(exceptions(id)) if {
	some id in live
	hits[id].rule.mode == "enforce"
	not hits[id].rule.floor
	count(exceptions(id)) > 0
}

# The ids of the exceptions to a rule that hold now, for this caller.
exceptions(id) := {name |
	some name, exception in data.pack.exceptions[id]
	not over(exception.until)
	applies(exception.when)
}
