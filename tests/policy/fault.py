"""Deliberate faults of the policy: each is one change of the product's text that the proof must notice.

A fault that is no longer a change (its text has gone) fails its test, so that this list stays true.
"""

from typing import NamedTuple

DECIDED = "test_agreement.test_what_is_remembered_is_right_and_the_same_as_at_first"
CHAINED = "test_agreement.test_a_chain_is_allowed_when_each_of_its_accesses_is"
MATCHED = "test_agreement.test_the_rules_that_match_are_those_of_the_reference_in_their_order"
RATED = "test_agreement.test_the_rate_class_is_the_most_generous_that_is_allowed"
LISTED = "test_agreement.test_a_tool_is_listed_exactly_when_some_arguments_are_allowed"
LENT = "test_agreement.test_a_loan_is_listed_exactly_when_the_same_arguments_are_allowed_to_all"
MAPPED = "test_mapping.test_a_tool_that_calls_another_is_listed_exactly_when_some_call_is_allowed_to_both"
MADE = "test_mapping.test_a_text_made_of_an_argument_that_nothing_else_asks_about_is_found_exactly"
LEFT = "test_mapping.test_what_one_mapping_left_over_is_not_taken_for_another"
LIVED = "test_machine.Life"
NOBODY = "test_fuzz.test_who_is_nobody_gets_nothing_and_is_shown_nothing"
JUDGED = "test_conditions.test_the_judge_agrees_with_the_definition"


class Fault(NamedTuple):
    """``text`` of a ``file`` of the policy stands ``instead``, and the property ``by`` must notice."""

    name: str
    by: str
    file: str
    text: str
    instead: str
