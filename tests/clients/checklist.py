"""What a client may rely on, check by check, and the tests that show it.

A test is named as pytest does, without its parameters; a file alone means all of it. What no test
shows yet stands in `open`, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One promise to clients."""

    what: str
    tests: tuple[str, ...] = ()
    open: str = ""


PYTHON = "tests/clients/test_openai_python.py"
STREAMS = "tests/clients/test_openai_streams.py"
TOOLS = "tests/clients/test_openai_tools.py"
FIDELITY = "tests/clients/test_openai_fidelity.py"
REFUSALS = "tests/clients/test_openai_refusals.py"
RESPONSES = "tests/clients/test_openai_responses.py"
SMALL = "tests/clients/test_openai_small.py"
KEPT = "tests/clients/test_openai_kept.py"
CACHE = "tests/clients/test_openai_cache.py"
CODING = "tests/clients/test_coding_tools.py"
FLEET = "tests/clients/test_fleet.py"
WIRES = "tests/clients/test_wires.py"
TLS = "tests/clients/test_tls.py"
HOWTO = "tests/clients/test_howto.py"
EDGE = "tests/integration/test_edge.py"
SHAPES = "tests/laws/test_shapes.py"
SERVER = "tests/unit/server"

CHECKS: dict[str, Check] = {
    "C01": Check(
        "A whole chat completion has every member, `content` and `refusal` always.",
        (f"{PYTHON}::test_c01_hello", f"{PYTHON}::test_c01_content_is_always_there",
         f"{SHAPES}::test_what_leaves_has_its_shape",
         f"{SHAPES}::test_the_checks_miss_nothing_that_is_promised"),
    ),
    "C02": Check(
        "A chat stream is server-sent events: a role first, calls with their index, [DONE] last.",
        (f"{STREAMS}::test_c02_server_sent_events", f"{STREAMS}::test_c02_the_stream_helper",
         f"{SHAPES}::test_what_leaves_has_its_shape", f"{SHAPES}::test_the_checks_know_a_stream"),
    ),
    "C03": Check(
        "Usage ends a stream where it is asked for, and is kept back where it is not.",
        (f"{STREAMS}::test_c03_usage_when_asked_for",
         f"{STREAMS}::test_c03_no_usage_when_not_asked_for"),
    ),
    "C04": Check(
        "What nobody knows passes as it came, both ways.",
        (f"{FIDELITY}::test_c04_unknown_request_fields_reach_the_upstream",
         f"{FIDELITY}::test_c04_unknown_answer_fields_reach_the_caller",
         f"{FIDELITY}::test_c04_unknown_fields_of_held_back_chunks_too",
         "tests/laws/test_small_dialects.py::test_what_no_rule_edits_goes_out_as_it_came"),
    ),
    "C05": Check(
        "Answers with a shape are parsed, whatever is masked inside.",
        (f"{PYTHON}::test_c05_parse_with_masked_values",
         f"{PYTHON}::test_c05_parse_a_stream_with_masked_values"),
    ),
    "C06": Check(
        "Tools work, whole and streamed; a stopped call is not half delivered.",
        (f"{TOOLS}::test_c06_round_trip", f"{TOOLS}::test_c06_parallel_calls",
         f"{TOOLS}::test_c06_a_blocked_call_is_not_half_delivered",
         f"{RESPONSES}::test_c06_a_tool_call",
         "tests/unit/core/test_answer.py"
         "::test_a_call_that_waited_begins_where_its_text_is_as_it_came"),
    ),
    "C07": Check(
        "Several choices, log probabilities, pictures, sound, files and every known member pass.",
        (f"{FIDELITY}::test_c07_several_choices", f"{FIDELITY}::test_c07_known_fields_pass",
         f"{FIDELITY}::test_c07_parts_that_cannot_be_read_pass_labelled",
         f"{FIDELITY}::test_c07_logprobs_stay_where_nothing_is_rewritten",
         f"{PYTHON}::test_c07_roles"),
    ),
    "C08": Check(
        "The other endpoints are governed, or refused by name; none is passed on blind.",
        (f"{SMALL}::test_masked_and_restored", f"{SMALL}::test_refused_by_policy",
         f"{KEPT}::test_each_line_of_a_batch_is_governed",
         f"{WIRES}::test_c08_what_is_not_governed_is_refused",
         f"{SERVER}/test_app.py::test_every_route_has_declared_what_stands_before_it"),
    ),
    "C09": Check(
        "Responses: created, streamed with numbers, read again, deleted, continued.",
        (f"{RESPONSES}::test_c09_create", f"{RESPONSES}::test_c09_events_on_the_wire",
         f"{RESPONSES}::test_c09_the_stream_helper",
         f"{KEPT}::test_a_stored_response_is_read_again_as_it_was_told",
         f"{KEPT}::test_who_goes_on_from_a_response_must_own_it",
         f"{KEPT}::test_a_response_in_the_background_is_governed"),
    ),
    "C10": Check(
        "Codex CLI's sessions pass as they are.",
        (f"{CODING}::test_c10_c11_a_turn_passes_as_it_is",),
    ),
    "C11": Check(
        "Messages and the counting of tokens, with either way to show a key and with betas.",
        (f"{WIRES}::test_c11_both_ways_to_show_a_key", f"{WIRES}::test_c11_tokens_are_counted",
         f"{CODING}::test_c10_c11_a_turn_passes_as_it_is", f"{FLEET}::test_c34_stream"),
    ),
    "C12": Check(
        "Models are listed as far as a key reaches, in the shape of who asks.",
        (f"{PYTHON}::test_c12_models", f"{WIRES}::test_c12_models_have_the_shape_of_who_asks"),
    ),
    "C13": Check(
        "Base URLs with and without a slash and `/v1`; HEAD and OPTIONS are answered.",
        (f"{PYTHON}::test_c13_base_url_with_and_without_a_slash",
         f"{EDGE}::test_c13_and_c33_base_urls_over_the_wire",
         f"{SERVER}/test_paths.py::test_c13_every_base_url_leads_there",
         f"{SERVER}/test_edge.py::test_c13_head_is_a_get_without_its_body",
         f"{PYTHON}::test_c13_other_methods_are_answered"),
    ),
    "C14": Check(
        "Every failure has OpenAI's error object, whose code is text or null.",
        (f"{REFUSALS}::test_c14_every_error_has_the_shape_that_clients_read",
         f"{SHAPES}::test_what_the_provider_refuses_has_its_shape",
         f"{SHAPES}::test_what_is_refused_at_the_door_has_its_shape",
         f"{SHAPES}::test_what_the_policy_refuses_has_its_shape",
         f"{SHAPES}::test_what_breaks_off_has_its_shape",
         f"{SHAPES}::test_the_checks_know_an_error"),
    ),
    "C15": Check(
        "Below Messages it is Anthropic's.",
        (f"{SERVER}/test_shapes.py::test_c15_below_messages_it_is_anthropics",
         f"{SHAPES}::test_what_the_provider_refuses_has_its_shape"),
    ),
    "C16": Check(
        "A key that is no good is refused in one wording.",
        (f"{REFUSALS}::test_c16_keys_that_are_no_good",
         f"{REFUSALS}::test_c16_a_revoked_key_ends_within_a_second",
         f"{REFUSALS}::test_c16_an_expired_key_ends"),
    ),
    "C17": Check(
        "A refusal by policy is one attempt in every client.",
        (f"{REFUSALS}::test_c17_refused_by_policy",
         f"{FLEET}::test_c17_refused_before_the_first_byte"),
    ),
    "C18": Check(
        "An empty budget is not asked again; a rate limit is waited for.",
        (f"{REFUSALS}::test_c18_over_budget", f"{REFUSALS}::test_c18_a_rate_limit_is_waited_for",
         f"{FLEET}::test_c18_over_budget", f"{FLEET}::test_c18_a_rate_limit_is_waited_for"),
    ),
    "C19": Check(
        "An answer that is stopped midway raises, and names the decision.",
        (f"{STREAMS}::test_c19_a_block_midway_raises",
         f"{FLEET}::test_c19_refused_during_the_stream"),
    ),
    "C20": Check(
        "So does a response, told in both shapes.",
        (f"{RESPONSES}::test_c20_a_block_midway_raises",
         f"{RESPONSES}::test_c20_the_error_event_has_both_shapes"),
    ),
    "C21": Check(
        "Where an application wants it, no is an answer: filtered without text, refused, or said.",
        ("tests/clients/test_declined.py",),
    ),
    "C22": Check(
        "Every answer has the id of its record.",
        (f"{PYTHON}::test_c22_the_request_id_is_the_records",
         f"{SERVER}/test_edge.py::test_c22_every_answer_has_a_request_id"),
    ),
    "C23": Check(
        "Rate limits are ours; a provider's are told apart.",
        (f"{REFUSALS}::test_c23_rate_limit_headers",
         f"{WIRES}::test_c23_the_providers_limits_are_told_apart_from_ours"),
    ),
    "C24": Check(
        "Who hangs up ends the call, and what was delivered is on record.",
        (f"{STREAMS}::test_c24_the_caller_hangs_up_midway",
         f"{FLEET}::test_c24_the_client_hangs_up"),
    ),
    "C25": Check(
        "A provider that breaks ends in an error that clients raise.",
        (f"{STREAMS}::test_c25_the_upstream_breaks_midway",
         f"{RESPONSES}::test_c25_the_upstream_breaks",
         f"{SHAPES}::test_what_breaks_off_has_its_shape"),
    ),
    "C26": Check(
        "A long silence is broken by comments; nothing between holds a stream back.",
        (f"{WIRES}::test_c26_a_silent_stream_gives_signs_of_life",
         f"{WIRES}::test_c26_clients_pass_over_signs_of_life",
         f"{SERVER}/test_keep_alive.py::test_c26_a_silent_stream_says_that_it_lives"),
        open="A proxy such as nginx between gateway and client is not run here.",
    ),
    "C27": Check(
        "A provider's refusal passes with its status; attempts are counted and told.",
        (f"{REFUSALS}::test_c27_upstream_errors_pass_with_their_status",
         f"{REFUSALS}::test_c27_what_the_upstream_turned_away_is_tried_again"),
    ),
    "C28": Check(
        "We give up before our callers do; a silence and the whole have limits of their own.",
        ("tests/unit/test_settings.py::test_c28_we_give_up_before_our_callers_do",
         "tests/unit/adapters/providers/test_wire.py::test_a_body_that_does_not_come_in_time"),
    ),
    "C29": Check(
        "The same idempotency key gives the same answer, at no further cost.",
        (f"{EDGE}::TestRepeats::test_c29_a_repeat_is_the_recorded_answer",
         f"{EDGE}::TestRepeats::test_c29_of_many_at_once_one_reaches_the_provider"),
    ),
    "C30": Check(
        "No page of a browser may call, unless its origin is listed.",
        (f"{SERVER}/test_cors.py::test_c30_nobody_is_admitted_by_default",
         f"{SERVER}/test_edge.py::test_c30_a_preflight_is_answered_for_a_governed_path"),
        open="No browser is run here.",
    ),
    "C31": Check(
        "Nothing is compressed: not our answers, not a provider's, not a request.",
        (f"{EDGE}::test_c31_answers_are_never_compressed",
         f"{EDGE}::test_c31_compressed_requests_are_refused",
         f"{WIRES}::test_c31_a_compressed_answer_is_no_answer"),
    ),
    "C32": Check(
        "Connections serve again; ten megabytes are taken, and one too large is told the limit.",
        (f"{EDGE}::test_c32_a_connection_serves_again",
         f"{EDGE}::test_c32_a_large_prompt_is_taken_and_one_too_large_is_told_the_limit"),
        open="HTTP/2 is spoken by a proxy before the gateway, which is not run here.",
    ),
    "C33": Check(
        "Azure's paths, and its key header; its clients in Python, Node and Semantic Kernel.",
        (f"{WIRES}::test_c33_azures_client", f"{EDGE}::test_c13_and_c33_base_urls_over_the_wire",
         f"{FLEET}::test_c34_hello", f"{FLEET}::test_c34_stream"),
    ),
    "C34": Check(
        "Frameworks, Semantic Kernel and DSPy among them, say hello, stream, call tools and get "
        "shapes.",
        (f"{FLEET}::test_c34_hello", f"{FLEET}::test_c34_stream",
         f"{FLEET}::test_c34_tool_call_and_result", f"{FLEET}::test_c34_structured_output",
         f"{HOWTO}::test_c34_the_table_says_what_the_tests_show"),
    ),
    "C35": Check(
        "Programs for people: what to set in each is documented, and what OpenCode sent passes.",
        (f"{CODING}::test_c10_c11_a_turn_passes_as_it_is",
         f"{CODING}::test_c38_a_turn_under_rules"),
        open="No test runs the others: they have windows, or servers of their own.",
    ),
    "C36": Check(
        "What the documentation has readers type runs.",
        (f"{HOWTO}::test_c36_an_example_runs", f"{WIRES}::test_c36_a_command_runs"),
    ),
    "C37": Check(
        "Whom a request is for is forwarded as the caller says it, or, by a rule, as a pseudonym.",
        (f"{WIRES}::test_c37_attribution_is_forwarded_and_on_record",
         f"{FIDELITY}::test_c07_known_fields_pass",
         "tests/integration/test_pseudonymise.py::test_c37_the_provider_reads_a_pseudonym"),
    ),
    "C38": Check(
        "Claude Code's identity, which is a blob, is taken as it is.",
        (f"{CODING}::test_c38_a_turn_under_rules",
         f"{CODING}::test_c38_some_turn_has_something_to_mask"),
    ),
    "C39": Check(
        "Masked values are restored, wherever a placeholder is cut.",
        (f"{PYTHON}::test_c39_masked_and_restored",
         f"{TOOLS}::test_c06_masked_values_are_restored_inside_streamed_arguments",
         "tests/laws/test_chunking.py::test_restored_alike"),
    ),
    "C40": Check(
        "A known answer comes as it is asked for, with an id of its own.",
        (f"{CACHE}::test_c40_a_known_question",
         f"{CACHE}::test_c40_a_whole_answer_has_every_member_after_a_stream",
         f"{SHAPES}::test_what_leaves_has_its_shape"),
        open="Answers to similar questions are a matter of their own.",
    ),
    "C41": Check(
        "Labels stand in headers and on record, and break no body.",
        ("tests/integration/test_exchange.py", "tests/unit/obligations/test_label.py",
         f"{SHAPES}::test_what_leaves_has_its_shape"),
        open="Labels inside of answers are a matter of their own.",
    ),
    "C42": Check(
        "Nothing of ours stands in a body that nobody refused.",
        (f"{FIDELITY}::test_c42_nothing_of_ours_in_the_body",),
    ),
    "C43": Check("Tools over MCP.", open="A matter of its own, later."),
    "C44": Check(
        "The operator's authorities and proxies are honoured; the image has the usual ones.",
        (f"{TLS}::test_c44_an_authority_of_the_operators_is_believed",
         f"{TLS}::test_c44_nobody_else_is",
         f"{TLS}::test_c44_a_proxy_is_used_where_it_is_asked_for",
         f"{TLS}::test_c44_a_proxy_is_passed_by_where_it_is_not",
         "tests/unit/test_image.py::test_the_image_has_what_a_gateway_needs"),
    ),
}  # fmt: skip
