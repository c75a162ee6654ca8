# The question, checked before any rule looks at it: the same shape as
# policies/schemas/question.json. What is malformed is denied.
package govgate

well_formed if {
	input.schema_version == 1
	object.keys(input) == {"schema_version", "subject", "action", "resource", "context"}
	subject_formed
	action_formed
	resource_formed
	context_formed
}

stage := input.action.properties.stage

# The present as YYYY-MM-DDTHH:MM:SS. Limits in a pack are whole seconds in the same form, so
# comparing text compares time, and no engine needs a clock or a calendar.
now := substring(input.context.time, 0, 19)

subject_formed if {
	subject := input.subject
	object.keys(subject) == {"type", "id", "properties"}
	named(subject.type)
	named(subject.id)
	object.keys(subject.properties) == {"org", "team", "tags", "roles", "user"}
	texts(subject.properties.tags)
	texts(subject.properties.roles)
	text_or_null(subject.properties.org)
	text_or_null(subject.properties.team)
	text_or_null(subject.properties.user)
}

action_formed if {
	action := input.action
	object.keys(action) == {"name", "properties"}
	named(action.name)
	object.keys(action.properties) == {"stage", "stream"}
	stage in {"request", "tool_call"}
	is_boolean(action.properties.stream)
}

resource_formed if {
	resource := input.resource
	object.keys(resource) == {"type", "id", "properties"}
	named(resource.type)
	named(resource.id)
	object.keys(resource.properties) == {"provider", "hosting", "region", "tags"}
	text_or_null(resource.properties.provider)
	text_or_null(resource.properties.hosting)
	text_or_null(resource.properties.region)
	texts(resource.properties.tags)
}

context_formed if {
	context := input.context
	object.keys(context) == {
		"time", "findings", "unavailable", "request", "tool_call", "budget",
		"estimate_usd", "review", "labels", "session",
	}
	utc(context.time)
	is_array(context.findings)
	every finding in context.findings { finding_formed(finding) }
	texts(context.unavailable)
	request_formed(context.request)
	tool_call_formed(stage, context.tool_call)
	budget_formed(context.budget)
	text_or_null(context.estimate_usd)
	review_formed(context.review)
	texts(context.labels)
	session_formed(context.session)
}

# There may be thousands of findings, so their names are counted and not compared.
finding_formed(finding) if {
	count(finding) == 5
	is_string(finding.kind)
	is_string(finding.label)
	is_string(finding.where)
	finding.kind != ""
	finding.label != ""
	finding.direction in {"input", "output"}
	is_number(finding.score)
	finding.score >= 0
	finding.score <= 1
}

request_formed(request) if {
	object.keys(request) == {
		"max_tokens", "tools", "modalities", "answers", "tokens", "purpose", "tags",
	}
	natural_or_null(request.max_tokens)
	natural_or_null(request.tokens)
	texts(request.tools)
	texts(request.modalities)
	texts(request.answers)
	text_or_null(request.purpose)
	texts(request.tags)
}

tool_call_formed("request", null)

tool_call_formed("tool_call", call) if {
	object.keys(call) == {"name", "arguments"}
	named(call.name)
}

budget_formed(null)

budget_formed(budget) if {
	object.keys(budget) == {"remaining_usd", "utilisation"}
	text_or_null(budget.remaining_usd)
	number_or_null(budget.utilisation)
}

review_formed(null)

review_formed(review) if {
	object.keys(review) == {"id", "state"}
	named(review.id)
	named(review.state)
}

session_formed(null)

session_formed(session) if {
	object.keys(session) == {"id", "turn"}
	text_or_null(session.id)
	natural_or_null(session.turn)
}

named(value) if {
	is_string(value)
	value != ""
}

texts(values) if {
	is_array(values)
	every value in values { is_string(value) }
}

text_or_null(null)

text_or_null(value) if is_string(value)

number_or_null(null)

number_or_null(value) if is_number(value)

natural_or_null(null)

natural_or_null(value) if {
	is_number(value)
	value >= 0
	value == floor(value)
}

# RFC 3339, in UTC. A regular expression would do, but would triple the compiled module.
utc(time) if {
	some zone in ["Z", "+00:00"]
	endswith(time, zone)
	moment(trim_suffix(time, zone))
}

moment(text) if {
	[date, clock] := split(text, "T")
	[year, month, day] := split(date, "-")
	digits(year, 4)
	digits(month, 2)
	digits(day, 2)
	[hour, minute, second] := split(clock, ":")
	digits(hour, 2)
	digits(minute, 2)
	seconds(split(second, "."))
}

seconds([whole]) if digits(whole, 2)

seconds([whole, fraction]) if {
	digits(whole, 2)
	count(fraction) <= 9
	count(fraction) >= 1
	digits(fraction, count(fraction))
}

digits(text, length) if {
	count(text) == length
	trim(text, "0123456789") == ""
}
