"""Orchestration: where it is posted, and for which models."""

from dialects.capabilities.models import profile_for
from routing.protocols.orchestration import OrchestrationProtocol

PROTOCOL = OrchestrationProtocol()


def test_there_is_one_path_whatever_the_model_and_streamed_or_not():
    urls = {PROTOCOL.build_endpoint("https://x/d1/", model, stream) for model in ("a", "b") for stream in (True, False)}

    assert urls == {"https://x/d1/v2/completion"}


def test_every_model_that_talks_can_be_asked():
    names = ("gpt-5", "anthropic--claude-4.5-sonnet", "gemini-3.5-flash", "amazon--nova-pro", "sonar", "llama")

    assert all(PROTOCOL.speaks(profile_for(name)) for name in names)
    assert not PROTOCOL.speaks(profile_for("text-embedding-3-large"))


def test_its_converters_render_the_body_and_understand_the_answer():
    body = PROTOCOL.get_request_converter()({"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]})
    templating = body["config"]["modules"]["prompt_templating"]
    result = {"model": "gpt-5-2025-08-07", "choices": [{"message": {"content": "well"}, "finish_reason": "stop"}]}
    answer = PROTOCOL.get_response_converter()({"request_id": "r", "final_result": result}, "my-model")

    assert templating["prompt"]["template"] == [{"role": "user", "content": "hi"}]
    assert templating["model"]["name"] == "gpt-5"
    assert answer["choices"][0]["message"]["content"] == "well"
    assert answer["model"] == "my-model"
