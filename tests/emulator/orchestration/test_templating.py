"""Templates, their placeholders and where templates come from."""

import pytest

from emulator.orchestration.stored_templates import SUMMARY_ID
from tests.emulator.client import SONNET
from tests.emulator.orchestration.completion import GPT, PATH, body, modules, post, refused, user

UNUSED = "400 - Input Parameters: Error validating parameters. Unused parameters: "


def shown(client, *configurations, **more):
    """Ask, and give the messages as the model was shown them."""
    answer = post(client, *configurations, **more)
    assert answer.status_code == 200, answer.text
    return [message["content"] for message in answer.json()["intermediate_results"]["templating"]]


@pytest.mark.parametrize(
    ("text", "values", "filled"),
    [
        ("Hi {{?who}}", {"who": "you"}, "Hi you"),
        ("{{ ?who }}{{?who}}", {"who": "you"}, "youyou"),
        ("{{?a-b}} and {{?a_b2}}", {"a-b": "1", "a_b2": "2"}, "1 and 2"),
        ("{{who}} {{ who }} {{#if}} {{}} {?who}", {}, "{{who}} {{ who }} {{#if}} {{}} {?who}"),
    ],
)
def test_placeholders_are_filled_and_other_braces_left_alone(eu, text, values, filled):
    assert shown(eu, modules(GPT, text), placeholder_values=values) == [filled]


def test_parts_and_every_role_of_a_template_are_filled(eu):
    template = [
        {"role": "system", "content": "Be {{?how}}"},
        user([{"type": "text", "text": "Hi {{?who}}"}, {"type": "text", "text": "{{?who}}"}]),
    ]

    system, parts = shown(eu, modules(GPT, template), placeholder_values={"how": "brief", "who": "you"})

    assert (system, [part["text"] for part in parts]) == ("Be brief", ["Hi you", "you"])


def test_what_is_filled_in_is_not_read_again(eu):
    assert shown(eu, modules(GPT, "{{?x}}"), placeholder_values={"x": "{{?x}} {{?y}}"}) == ["{{?x}} {{?y}}"]


def test_values_outrank_defaults(eu):
    configuration = modules(GPT, "{{?x}}{{?y}}", defaults={"x": "1", "y": "2"})

    assert shown(eu, configuration, placeholder_values={"y": "3"}) == ["13"]


@pytest.mark.parametrize("values", [{}, {"x": "1", "y": "2"}])
def test_a_value_that_is_missing_and_one_too_many_are_refused_alike(eu, values):
    error = refused(eu, modules(GPT, "Hello {{?x}}"), placeholder_values=values)

    assert error["message"] == f"{UNUSED}['{'y' if values else 'x'}']."
    assert error["location"] == "Input Parameters"
    assert error["intermediate_results"] == {"templating": [user("Hello {{?x}}")]}


@pytest.mark.parametrize("name", ["{{? x }}", "{{?x.y}}", "{{?1x}}", "{{?x--y}}", "{{?x_}}", "{{?}}", "{{?x y}}"])
def test_a_malformed_name_is_an_error_that_no_value_mends(eu, name):
    error = refused(eu, modules(GPT, f"Hello {name}"))

    assert error["message"].startswith("400 - Templating Module: ")
    assert repr(name) in error["message"]


def test_the_history_stands_before_the_template_and_is_not_parsed(eu):
    history = [user("{{?x}} {{? x }}"), {"role": "assistant", "content": "{{?y}}"}]

    assert shown(eu, modules(GPT, "Go on"), messages_history=history) == ["{{?x}} {{? x }}", "{{?y}}", "Go on"]


def test_a_history_can_do_without_a_template(eu):
    assert shown(eu, modules(SONNET, None), messages_history=[user("{{?x}}")]) == ["{{?x}}"]


@pytest.mark.parametrize(
    "reference",
    [
        {"id": SUMMARY_ID},
        {"scenario": "writing", "name": "summary", "version": "1.0.0"},
        {"scenario": "writing", "name": "summary", "version": "latest", "scope": "tenant"},
    ],
)
def test_a_template_can_be_a_stored_one(eu, reference):
    configuration = modules(GPT, None)
    configuration["prompt_templating"]["prompt"] = {"template_ref": reference}

    said = shown(eu, configuration, placeholder_values={"text": "A tale"})

    assert said == ["Summarize what the user says in English.", "A tale"]


@pytest.mark.parametrize("reference", [{"id": "none"}, {"scenario": "a", "name": "b", "version": "c"}])
def test_a_stored_template_that_is_not_there_is_refused(eu, reference):
    configuration = modules(GPT, None)
    configuration["prompt_templating"]["prompt"] = {"template_ref": reference}

    answer = eu.post(None, PATH, body(configuration))

    assert (answer.status_code, answer.json()["error"]["location"]) == (400, "Templating Module")
