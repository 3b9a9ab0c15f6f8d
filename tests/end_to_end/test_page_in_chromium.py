"""The page at `/` as people use it: in a real Chromium, before a served demo, and before a proxy with a secret key."""

import itertools
import json
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.tool_settings.deployed import read_models
from gateway.web.tool_guide import PLACEHOLDER, guide
from tests.support.chromium import Visit, Visitor, running_tab, visitor
from tests.support.legibility import contrasts
from tests.support.processes import free_port, new_place, until
from tests.support.running import KEY, Cloud, Proxy, running_proxy

SECRET = 'sk it\'s "mine"'
QUOTED = """'sk it'"'"'s "mine"'"""
"""The same as a shell wants it."""
LOADED = "The answer is complete."
PHONE = 360
"""Pixels."""


@pytest.fixture(scope="module")
def tab() -> Iterator[Any]:
    with running_tab() as tab:
        yield tab


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a demo, served as a new user serves it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with new_place(tmp_path_factory.mktemp("demo")).running("--demo", "--port", str(port)) as run:
        run.await_answer(url)
        until(lambda: subaccounts_of(url) == {"eu": "ok", "us": "ok"}, amiss=lambda: run.said)
        yield url


def subaccounts_of(url: str) -> Any:
    """Read what `/ready` says of each subaccount: the page shows it as it is when a visitor comes."""
    with urllib.request.urlopen(f"{url}/ready") as answer:
        return json.load(answer)["subaccounts"]


@pytest.fixture
def visit(tab: Any) -> Iterator[Visitor]:
    with visitor(tab) as visit:
        yield visit


@pytest.fixture
def locked_proxy(cloud: Cloud, tmp_path: Path) -> Iterator[Proxy]:
    """A proxy whose key is secret, and looks as if it wanted to break out of what it is put into."""
    with running_proxy(cloud, tmp_path, secret_authentication_tokens=[KEY, SECRET]) as proxy:
        yield proxy


def opened(visit: Visit, key: str) -> Visit:
    """Give the key as a visitor does, and wait for what it opens."""
    visit.page.get_by_label("A key of this proxy").fill(key)
    visit.page.get_by_role("button", name="Use this key").click()
    visit.page.get_by_role("heading", name="Claude Code").wait_for()
    return visit


def tools_of(visit: Visit, url: str, key: str = KEY) -> dict[str, dict[str, Any]]:
    """What the proxy says of each tool, for what it serves."""
    answer = visit.page.request.get(f"{url}/v1/models", headers={"Authorization": f"Bearer {key}"})
    told = guide(url, read_models(answer.json()))
    return {tool["name"]: tool for group in told["groups"] for tool in group["tools"]}


def asked(visit: Visit, prompt: str) -> Visit:
    visit.page.get_by_label("Message").fill(prompt)
    visit.page.get_by_role("button", name="Send").click()
    return visit


def test_a_demo_says_that_it_is_one_and_that_it_is_well_and_lists_its_models(visit: Visitor, demo: str) -> None:
    page = visit(demo).page
    page.get_by_role("heading", name="Claude Code").wait_for()
    listed = page.request.get(f"{demo}/v1/models", headers={"Authorization": f"Bearer {KEY}"}).json()["data"]
    cards = page.locator(".model").all_inner_texts()
    first = dict(zip(cards[0].split("\n")[1::2], cards[0].split("\n")[2::2], strict=False))

    assert page.locator("#demo").is_visible()
    assert page.locator("#health").inner_text() == "Ready"
    assert page.locator("#subaccounts li").all_inner_texts() == ["eu\nready", "us\nready"]
    assert [card.split("\n")[0] for card in cards] == [model["id"] for model in listed]
    assert first.items() >= {"Context": "200k", "Answer": "64k", "Reads": "text, image, file"}.items()
    assert page.locator("#url-openai").inner_text() == f"{demo}/v1"


def test_an_answer_is_seen_growing_and_says_who_gave_it_and_how_soon(visit: Visitor, demo: str) -> None:
    seen = visit(demo)
    seen.page.evaluate(
        """() => {
          window.lengths = [];
          const look = () => lengths.push(document.getElementById("answer").textContent.length);
          new MutationObserver(look).observe(document.getElementById("answer"), { characterData: true, subtree: true });
        }"""
    )
    asked(seen, "scene:slow 40 scene:long 20").await_text("#answer-state", LOADED)
    lengths = seen.page.evaluate("lengths")

    assert len(set(lengths)) >= 3
    assert lengths == sorted(lengths)
    assert len(seen.text("#answer").split()) == 20
    assert re.fullmatch(r"(eu|us)/d\w+", seen.text("#fact-deployment"))
    assert seen.text("#fact-trail") == f"{seen.text('#fact-deployment')} ok"
    assert re.fullmatch(r"\d+ ms|\d+\.\d s", seen.text("#fact-first"))
    assert int(seen.text("#fact-in")) > 0
    assert int(seen.text("#fact-out")) >= 20
    assert seen.page.locator("#answer").get_attribute("aria-busy") == "false"


def test_an_answer_can_be_stopped_by_keyboard_and_another_one_asked_for(visit: Visitor, demo: str) -> None:
    seen = visit(demo)
    seen.page.get_by_label("Message").fill("scene:slow 20 scene:long 3000")
    seen.page.get_by_label("Message").press("Tab")
    seen.page.keyboard.press("Enter")
    seen.page.wait_for_function("() => document.getElementById('answer').textContent.length > 10")
    was_on_stop = seen.focused
    seen.page.keyboard.press("Enter")
    seen.await_text("#answer-state", "Stopped.")

    assert (was_on_stop, seen.focused) == ("stop", "send")
    assert len(seen.text("#answer").split()) < 3000

    asked(seen, "Hello").await_text("#answer-state", LOADED)

    assert "Hello" in seen.text("#answer")


def test_only_models_that_talk_are_offered_and_a_card_chooses_one(visit: Visitor, demo: str) -> None:
    page = visit(demo).page
    page.get_by_role("button", name="Try gemini-3.5-flash").click()
    offered = page.locator("#model option").all_inner_texts()
    cards = page.locator(".model h3").all_inner_texts()

    assert page.get_by_label("Model", exact=True).input_value() == "gemini-3.5-flash"
    assert [name for name in cards if name not in offered] == [name for name in cards if "embed" in name]

    page.get_by_label("Filter by name").fill("GEMINI")

    assert page.locator(".model:visible h3").all_inner_texts() == [name for name in cards if "gemini" in name]


def test_what_is_copied_is_the_very_text_with_the_key_which_is_not_seen(visit: Visitor, locked_proxy: Proxy) -> None:
    seen = opened(visit(locked_proxy.url), SECRET)
    tools = tools_of(seen, locked_proxy.url)
    page = seen.page

    def copied(button: str) -> str:
        page.get_by_role("button", name=button, exact=True).click()
        seen.await_text("#announcer", f"{button.replace('Copy', 'Copied')}.")
        return page.evaluate("navigator.clipboard.readText()")

    assert copied("Copy the base URL for OpenAI's API") == f"{locked_proxy.url}/v1"
    assert copied("Copy the commands for Claude Code") == (
        f"export PROXY_KEY={QUOTED}\n{tools['claude']['body'].rstrip()}"
    )
    assert SECRET not in page.locator("body").inner_text()
    assert QUOTED not in page.locator("body").inner_text()

    page.get_by_role("button", name="Show").click()

    assert f"PROXY_KEY={QUOTED}" in page.locator("body").inner_text()

    page.get_by_role("radio", name="Cursor").check()

    assert copied("Copy the settings for Cursor") == tools["cursor"]["body"].rstrip().replace(PLACEHOLDER, SECRET)
    assert SECRET in copied("Copy the settings for Cursor")


def test_where_a_browser_copies_the_old_way_only_or_not_at_all_the_text_is_still_had(visit: Visitor, demo: str) -> None:
    """By plain http from another machine there is no clipboard for pages."""
    seen = visit(demo)
    button = seen.page.get_by_role("button", name="Copy the commands for Claude Code")
    button.wait_for()
    seen.page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    button.click()
    seen.await_text("#announcer", "Copied the commands for Claude Code.")
    seen.page.get_by_label("Message").fill("")
    seen.page.get_by_label("Message").press("Control+V")
    seen.page.evaluate("document.execCommand = () => false")
    button.click()
    button.get_by_text("Press Ctrl+C").wait_for()
    pasted = seen.page.get_by_label("Message").input_value()

    assert pasted.startswith(f"export PROXY_KEY={KEY}\nexport ANTHROPIC_BASE_URL={demo}\n")
    assert seen.page.evaluate("getSelection().toString()") == pasted


def test_a_wrong_key_is_called_wrong_and_opens_nothing(visit: Visitor, locked_proxy: Proxy) -> None:
    seen = visit(locked_proxy.url)
    complaint_at_first = seen.text("#key-error")
    asked_at_first = [request.url for request in seen.requests]
    for key, complaint in (("", "Type a key first."), ("schlüssel", "A key has letters without accents, digits")):
        seen.page.get_by_label("A key of this proxy").fill(key)
        seen.page.keyboard.press("Enter")

        assert seen.text("#key-error").startswith(complaint)

    seen.page.get_by_label("A key of this proxy").fill("sk-wrong")
    seen.page.keyboard.press("Enter")
    seen.await_text(
        "#key-error", "The proxy does not accept this key. Where it runs, sap-ai-proxy connect key prints one."
    )

    assert complaint_at_first == ""
    assert [url for url in asked_at_first if "/v1/" in url or "/web/guide" in url] == []
    assert seen.awaited("401", 2) == 2
    assert (seen.focused, seen.page.locator("#key").get_attribute("aria-invalid")) == ("key", "true")
    assert seen.page.locator(".model, #tools label, #model option").count() == 0
    assert seen.page.evaluate("sessionStorage.getItem('sap-ai-proxy-key')") == ""

    opened(seen, SECRET)

    assert seen.text("#key-error") == ""
    assert seen.page.locator("#key").get_attribute("aria-invalid") == "false"


def test_the_key_stays_in_its_tab_and_out_of_every_address(visit: Visitor, locked_proxy: Proxy) -> None:
    seen = opened(visit(locked_proxy.url), SECRET)
    seen.page.reload()
    seen.page.get_by_role("heading", name="Claude Code").wait_for()
    asked(seen, "Hello").await_text("#answer-state", LOADED)
    another = seen.page.context.new_page()
    another.goto(f"{locked_proxy.url}/")
    another_key = another.get_by_label("A key of this proxy").input_value()
    another.close()
    addresses = [urllib.parse.unquote(request.url) for request in seen.requests]

    assert another_key == ""
    assert seen.page.context.cookies() == []
    assert seen.page.evaluate("[localStorage.length, location.href]") == [0, f"{locked_proxy.url}/"]
    assert [address for address in addresses if "sk it" in address] == []

    seen.page.get_by_role("button", name="Forget it").click()
    seen.page.reload()

    assert seen.page.get_by_label("A key of this proxy").input_value() == ""
    assert seen.page.locator("#tools").is_hidden()


def test_a_key_that_is_forgotten_is_nowhere_in_the_page_and_asks_nothing_more(
    visit: Visitor, locked_proxy: Proxy
) -> None:
    seen = opened(visit(locked_proxy.url), SECRET)
    page = seen.page
    page.get_by_role("button", name="Show").click()
    asked(seen, "scene:slow 20 scene:long 3000")
    page.wait_for_function("() => document.getElementById('answer').textContent.length > 10")
    held = "sk it" in page.locator("body").text_content()
    page.get_by_role("button", name="Forget it").click()
    page.wait_for_function("() => document.getElementById('answer-state').textContent === 'Stopped.'")

    assert held
    assert "sk it" not in page.locator("body").text_content()


@pytest.mark.parametrize(
    ("reason", "last", "said"),
    [
        ("stop", "data: [DONE]\n\n", LOADED),
        ("length", "data: [DONE]\n\n", "The answer ends here: it has reached its limit of tokens."),
        ("content_filter", "data: [DONE]\n\n", "The answer ends here: a content filter has stopped it."),
        ("stop", "", "The answer ended early."),
    ],
)
def test_an_answer_is_called_complete_only_if_it_is(
    visit: Visitor, demo: str, reason: str, last: str, said: str
) -> None:
    chunks = ({"delta": {"content": "Hi"}}, {"delta": {}, "finish_reason": reason})
    body = "".join(f"data: {json.dumps({'choices': [each]})}\n\n" for each in chunks) + last
    seen = visit(demo)
    seen.page.get_by_role("heading", name="Claude Code").wait_for()
    seen.page.route("**/v1/chat/completions", lambda route: route.fulfill(content_type="text/event-stream", body=body))
    try:
        asked(seen, "Hello").await_text("#answer-state", said)
    finally:
        seen.page.unroute("**/v1/chat/completions")

    assert seen.text("#answer") == "Hi"


def test_errors_are_told_in_words_before_and_within_an_answer(visit: Visitor, locked_proxy: Proxy) -> None:
    cloud = locked_proxy.cloud
    for model, kind in (
        ("gpt-4.1", {"kind": "400", "message": "too odd"}),
        ("gpt-5", {"kind": "cut", "after_events": 4}),
    ):
        for deployment in cloud.deployments(model):
            cloud.fault(deployment, **kind)
    seen = opened(visit(locked_proxy.url), SECRET)

    seen.page.get_by_label("Model", exact=True).select_option("gpt-4.1")
    asked(seen, "Hello").await_text("#answer-state", "No answer.")
    refused = seen.text("#answer-error")

    assert "too odd" in refused
    assert (seen.text("#answer"), seen.awaited("400", 1)) == ("", 1)

    seen.page.get_by_label("Model", exact=True).select_option("gpt-5")
    asked(seen, "scene:long 50").await_text("#answer-state", "The answer ended early.")

    assert seen.text("#answer-error") not in ("", refused)
    assert 0 < len(seen.text("#answer").split()) < 50


def test_a_proxy_without_keys_asks_for_none(visit: Visitor, cloud: Cloud, tmp_path: Path) -> None:
    with running_proxy(cloud, tmp_path, secret_authentication_tokens=[]) as proxy:
        seen = visit(proxy.url)
        seen.page.get_by_role("heading", name="Claude Code").wait_for()
        asked(seen, "Hello").await_text("#answer-state", LOADED)

        assert seen.page.get_by_role("heading", name="No key is needed here").is_visible()
        assert seen.page.locator("#key-form input").count() == 0
        assert "export PROXY_KEY=any-key\n" in seen.text("#steps")


def test_no_script_or_style_of_another_gets_into_the_page(visit: Visitor, demo: str) -> None:
    seen = visit(demo)
    refused = seen.page.evaluate(
        """() => {
          const tries = {
            html: () => document.body.innerHTML = "<b>bold</b>",
            script: () => document.createElement("script").text = "window.ran = true",
          };
          const refused = Object.keys(tries).filter((name) => {
            try { tries[name](); return false; } catch (error) { return error instanceof TypeError; }
          });
          const style = document.createElement("style");
          style.textContent = "main { display: none }";
          document.head.append(style);
          return refused;
        }"""
    )

    assert refused == ["html", "script"]
    assert seen.page.locator("main").is_visible()
    assert (seen.awaited("Content Security Policy", 1), seen.awaited("requires 'Trusted", 2)) == (1, 2)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_in_either_scheme_and_the_schemes_differ(visit: Visitor, demo: str, scheme: str) -> None:
    seen = visit(demo, color_scheme=scheme)
    asked(seen, "Hello").await_text("#answer-state", LOADED)
    measured = contrasts(seen.page)
    body = next(each.background for each in measured if each.what.startswith("Every model"))
    texts = [each for each in measured if each.kind == "text"]
    edges = [each for each in measured if each.kind == "edge"]

    assert [each for each in texts if each.ratio < 4.5] == []
    assert [each for each in edges if each.ratio < 3] == []
    assert (len(texts) > 100, len(edges)) == (True, 4)
    assert (sum(map(int, re.findall(r"\d+", body))) > 3 * 128) == (scheme == "light")
    assert (animations_of(seen, "reduce"), animations_of(seen, "no-preference")) == (0, 1)


def animations_of(seen: Visit, motion: str) -> int:
    """How much moves while an answer comes, for somebody who wants so much *motion*."""
    seen.page.emulate_media(reduced_motion=motion)
    return seen.page.evaluate(
        """() => {
          document.getElementById("answer").setAttribute("aria-busy", "true");
          return document.getAnimations().length;
        }"""
    )


def test_a_phone_scrolls_down_only_whatever_tool_is_picked(visit: Visitor, demo: str, locked_proxy: Proxy) -> None:
    width = visit(locked_proxy.url, PHONE).page.evaluate("document.documentElement.scrollWidth")
    seen = visit(demo, PHONE)
    asked(seen, f"scene:echo {'wide' * 200}").await_text("#answer-state", LOADED)
    too_wide = seen.page.evaluate(
        """() => [...document.querySelectorAll("#tools input")].map((radio) => {
          radio.click();
          const scrolls = (element) => ["auto", "scroll"].includes(getComputedStyle(element).overflowX);
          const isCut = (element) => {
            let at = element.parentElement;
            while (at && !scrolls(at)) at = at.parentElement;
            return !at && element.getBoundingClientRect().right > innerWidth;
          };
          const cut = [...document.querySelectorAll("main *, header *")].filter(isCut).map((each) => each.outerHTML);
          return [radio.value, document.documentElement.scrollWidth - innerWidth, ...cut];
        })"""
    )
    answer = seen.page.evaluate("() => answer.scrollWidth - answer.clientWidth")
    small = seen.page.evaluate(
        """() => [...document.querySelectorAll("button, select, #tools label, nav a")]
          .filter((each) => each.checkVisibility() && each.getBoundingClientRect().height < 24)
          .map((each) => each.textContent)"""
    )

    assert too_wide == [[name, 0] for name in tools_of(seen, demo)]
    assert (width, answer) == (PHONE, 0)
    assert small == []


def test_all_can_be_done_by_keyboard(visit: Visitor, demo: str) -> None:
    seen = visit(demo)
    keys, page = seen.page.keyboard, seen.page
    page.get_by_role("heading", name="Claude Code").wait_for()

    def tab_to(wanted: str) -> str:
        """Press Tab until something has the focus, and give how that is seen."""
        for _ in range(40):
            keys.press("Tab")
            if seen.focused == wanted:
                break
        return page.evaluate(
            """() => {
              const focused = document.activeElement;
              return getComputedStyle(focused.type === "radio" ? focused.nextSibling : focused).outlineStyle;
            }"""
        )

    keys.press("Tab")
    skip = page.evaluate("document.activeElement.textContent")
    keys.press("Enter")

    assert (skip, seen.focused) == ("Skip to the content", "main")

    while page.evaluate("document.activeElement.type") != "radio":
        keys.press("Tab")
    keys.press("ArrowDown")

    assert seen.text("#steps h3") == "Codex CLI"
    assert tab_to("Copy the command that sets the key") == "solid"

    keys.press("Enter")
    seen.await_text("#announcer", "Copied the command that sets the key.")

    assert page.evaluate("navigator.clipboard.readText()") == f"export PROXY_KEY={KEY}"
    assert tab_to("model") == "solid"

    keys.type("gemini-3.5")
    tab_to("prompt")
    keys.press("Control+A")
    keys.type("Hello by keyboard")
    keys.press("Control+Enter")
    seen.await_text("#answer-state", LOADED)

    assert "Hello by keyboard" in seen.text("#answer")
    assert page.get_by_label("Model", exact=True).input_value() == "gemini-3.5-flash"
    assert tab_to("Answer") == "solid"
    assert tab_to("filter") == "solid"


CONTROLS = {"button", "link", "textbox", "searchbox", "combobox", "radio", "region", "form", "navigation", "group"}


def test_a_screen_reader_hears_a_name_of_everything(visit: Visitor, demo: str) -> None:
    seen = visit(demo)
    asked(seen, "Hello").await_text("#answer-state", LOADED)
    found = seen.page.context.new_cdp_session(seen.page).send("Accessibility.getFullAXTree")["nodes"]
    nodes = [
        (node["role"]["value"], node.get("name", {}).get("value", ""), properties_of(node))
        for node in found
        if not node["ignored"]
    ]
    roles = [role for role, _, _ in nodes]
    levels = [properties["level"] for role, _, properties in nodes if role == "heading"]
    live = {name: properties.get("live") for role, name, properties in nodes if role in ("status", "alert", "region")}
    buttons = [name for role, name, _ in nodes if role == "button"]

    assert [role for role, name, _ in nodes if role in CONTROLS and not name.strip()] == []
    assert [roles.count(each) for each in ("banner", "navigation", "main", "contentinfo")] == [1, 1, 1, 1]
    assert {"group": 3, "radio": 16, "combobox": 1, "searchbox": 1}.items() <= {
        each: roles.count(each) for each in roles
    }.items()
    assert levels[0] == 1
    assert [(one, two) for one, two in itertools.pairwise(levels) if two > one + 1] == []
    assert sorted(buttons) == sorted(set(buttons))
    assert live["Answer"] == "polite"


def properties_of(node: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each["value"].get("value") for each in node.get("properties", ())}
