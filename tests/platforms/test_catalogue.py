"""What holds for every definition that is shipped."""

import json
import re

import pytest

from connectors.definition.folder import SHIPPED, read_folders
from connectors.definition.remarks import remarks
from connectors.definition.schemas import input_schema
from connectors.definition.terms import AuthKind, Coding, Pkce, Risk
from tests.platforms import seeds

SHIPPED_IDS = {
    "api-key",
    "asana",
    "github",
    "gmail",
    "google_calendar",
    "google_drive",
    "hubspot",
    "jira",
    "linear",
    "microsoft",
    "notion",
    "oauth2",
    "oidc",
    "salesforce",
    "slack",
    "stripe",
    "zendesk",
}
READ = read_folders((SHIPPED,))
DEFINITIONS = sorted(READ.by_id.values(), key=lambda definition: definition.id)
ACTIONS = [(definition, action) for definition in DEFINITIONS for action in definition.actions]
NAMED = [f"{definition.id}/{action.id}" for definition, action in ACTIONS]

READS_BY_POST = {
    "google_calendar/find_free_time",
    "hubspot/search_companies",
    "hubspot/search_contacts",
    "hubspot/search_deals",
    "linear/get_issue",
    "linear/get_me",
    "linear/list_issues",
    "linear/list_labels",
    "linear/list_projects",
    "linear/list_states",
    "linear/list_teams",
    "linear/list_users",
    "notion/query_database",
    "notion/search",
    "slack/find_user_by_email",
    "slack/get_channel",
    "slack/get_user",
    "slack/list_channels",
    "slack/list_members",
    "slack/list_users",
    "slack/read_channel",
    "slack/read_thread",
}
"""What asks by POST and changes nothing."""

DESTROYS_WITHOUT_DELETE = {
    "api-key/put",
    "linear/delete_issue",
    "oauth2/put",
    "oidc/put",
    "slack/archive_channel",
    "slack/delete_message",
}

VERBS = (
    "add append archive assign comment create delete describe export find get invite join list mark merge modify move "
    "open patch pin post put query read remove review schedule search send set share transition trash untrash update "
    "write"
)


def test_every_file_reads_without_problems():
    assert READ.problems == ()
    assert set(READ.by_id) == SHIPPED_IDS


def test_nothing_is_odd_but_that_a_platform_nobody_knows_names_no_accounts():
    odd = {(definition.id, remark) for definition in DEFINITIONS for remark in remarks(definition, definition.checked)}
    assert {id for id, _ in odd} == {"oauth2"}
    assert len(odd) == 1


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda definition: definition.id)
def test_a_definition_says_what_it_is_and_when_somebody_looked(definition):
    assert definition.title
    assert definition.description
    assert definition.categories
    assert re.fullmatch(r"20\d\d-\d\d", definition.checked)
    assert definition.tested
    assert definition.docs or definition.categories == ("other",)
    assert len({action.id for action in definition.actions}) == len(definition.actions) >= 5


@pytest.mark.parametrize(("connector", "least"), [("github", 12), ("slack", 12), ("stripe", 12), ("gmail", 12)])
def test_the_platforms_that_people_use_most_have_enough_actions(connector, least):
    assert len(READ.by_id[connector].actions) >= least


@pytest.mark.parametrize(("definition", "action"), ACTIONS, ids=NAMED)
def test_the_risk_of_an_action_agrees_with_its_method(definition, action):
    name = f"{definition.id}/{action.id}"
    if action.method == "GET":
        expected = {Risk.READ}
    elif action.method == "DELETE" or name in DESTROYS_WITHOUT_DELETE:
        expected = {Risk.DESTRUCTIVE}
    else:
        expected = {Risk.READ} if name in READS_BY_POST else {Risk.WRITE}
    assert {action.risk} == expected


@pytest.mark.parametrize("names", [READS_BY_POST, DESTROYS_WITHOUT_DELETE], ids=["reads by post", "destroys"])
def test_the_exceptions_of_this_file_are_still_needed(names):
    known = {f"{definition.id}/{action.id}": action.method for definition, action in ACTIONS}
    assert all(known[name] != "GET" for name in names)


@pytest.mark.parametrize(("definition", "action"), ACTIONS, ids=NAMED)
def test_an_action_is_told_in_words_and_asks_for_little(definition, action):
    assert action.title[0].isupper()
    assert not action.title.endswith(".")
    assert len(action.description) > 15
    assert action.id.split("_")[0] in VERBS.split()
    assert len(f"{definition.id}__{action.id}") <= 64
    schema = input_schema(action)
    assert len(json.dumps(schema)) < 4_000
    assert all(name == name.lower() for name in schema["properties"])


@pytest.mark.parametrize(("definition", "action"), ACTIONS, ids=NAMED)
def test_an_action_that_lists_never_gives_more_than_some_pages(definition, action):
    if action.id.startswith("list_") and action.paging is not None:
        assert action.paging.most <= 5
        assert action.paging.items or action.method == "GET"


def test_pkce_is_off_only_where_the_platform_does_not_take_it():
    off = {
        definition.id: definition.auth.oauth.pkce_off_reason
        for definition in DEFINITIONS
        if definition.auth.oauth and definition.auth.oauth.pkce is Pkce.OFF
    }
    assert set(off) == {"hubspot", "jira", "notion", "slack"}
    assert all(len(reason) > 20 for reason in off.values())


def test_platforms_that_forget_an_idle_account_are_asked_in_time():
    renewals = {definition.id: definition.auth.oauth.renewal for definition in DEFINITIONS if definition.auth.oauth}
    idle = {id: renewal.idle_days for id, renewal in renewals.items() if renewal.idle_days}
    assert idle == {"gmail": 150, "google_calendar": 150, "google_drive": 150, "microsoft": 60}


def test_every_platform_with_oauth_has_a_redirect_uri_at_the_counterparts():
    with_oauth = {definition.id for definition in DEFINITIONS if definition.auth.kind is AuthKind.OAUTH2}
    assert with_oauth == set(seeds.CONNECTORS)


def test_no_definition_sends_its_credential_in_a_query():
    assert all(not definition.api.auth_query for definition in DEFINITIONS)


def test_a_body_that_nests_is_json_or_a_nested_form():
    for definition, action in ACTIONS:
        nests = any("." in parameter.wire for parameter in action.parameters if parameter.place == "body")
        assert not nests or action.coding in (Coding.JSON, Coding.NESTED_FORM), f"{definition.id}/{action.id}"
