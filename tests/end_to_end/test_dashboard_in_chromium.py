"""The dashboard as operators use it: in a real Chromium, before a proxy whose deployments are broken and healed."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import emulator
from tests.support.chromium import Visit, Visitor, running_tab, visitor
from tests.support.legibility import contrasts
from tests.support.processes import until
from tests.support.running import KEY, Cloud, Proxy, running_proxy
from tests.support.worlds import mixed_world

CALLER = "sk-caller"
PHONE = 360
"""Pixels."""
RED_WITHIN = 5.0
"""Seconds in which a deployment that fails is shown as failing."""
FIGURES = {"Requests a minute", "Time to first word", "Tokens a minute", "Cache hits"}
BREAKER = {"failure_threshold": 2, "timeout": 3.0, "fixed_timeout": True, "timeout_jitter": 0, "slow_start": 0}


@pytest.fixture(scope="module")
def tab() -> Iterator[Any]:
    with running_tab() as tab:
        yield tab


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy that forgives soon, and has no admin key: whoever asks from this machine may change it.

    It checks nothing by itself: a check would half-open a circuit before the page has shown it as open.
    """
    with (
        emulator.serve(mixed_world()) as running,
        running_proxy(
            Cloud(running.url),
            tmp_path_factory.mktemp("watched"),
            routing={"breaker": BREAKER, "health_check_interval": 0},
        ) as proxy,
    ):
        yield proxy


@pytest.fixture
def visit(tab: Any, watched: Proxy) -> Iterator[Visitor]:
    with visitor(tab) as visit:
        yield visit
    watched.cloud.heal()


def dashboard(visit: Visitor, proxy: Proxy, *models: str, width: int = 1280, **media: str) -> Visit:
    """Go to the dashboard, give a key there, and open *models*."""
    seen = visit(proxy.url, width, **media)
    give_key(seen, KEY)
    seen.await_text("#live", "Live")
    for model in models:
        seen.page.wait_for_selector(f"{entry(model)}", state="attached")
        seen.page.evaluate("document.getElementById('idle').open = true")
        button = seen.page.get_by_role("button", name=model, exact=True)
        if button.get_attribute("aria-expanded") == "false":
            button.click()
    return seen


def give_key(seen: Visit, key: str) -> None:
    """Type a key where the dashboard asks for one."""
    seen.page.evaluate("location.hash = 'dashboard'")
    seen.page.get_by_label("A key of this proxy").fill(key)
    seen.page.keyboard.press("Enter")


def entry(model: str) -> str:
    return f'.entry[data-model="{model}"]'


def badge(deployment: str) -> str:
    return f'.endpoint[data-deployment="{deployment}"] .badge'


def asked(proxy: Proxy, model: str, times: int = 1) -> list[str]:
    """Ask for a model, and give which deployments have answered."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    answers = [proxy.ask("POST", "/v1/chat/completions", body) for _ in range(times)]
    return [answer.headers.get("x-proxy-deployment", "").rpartition("/")[2] for answer in answers]


def standing(proxy: Proxy, deployment: str) -> str:
    rows = proxy.ask("GET", "/router/state").json["endpoints"]
    return next(row["standing"] for row in rows if row["deployment"] == deployment)


def look(seen: Visit, deployment: str) -> str | None:
    return seen.page.locator(badge(deployment)).get_attribute("data-look")


def await_badge(seen: Visit, deployment: str, words: str) -> None:
    seen.await_text(badge(deployment), words)


def test_a_deployment_that_is_broken_turns_red_within_5_s_and_green_after_it_heals(
    visit: Visitor, watched: Proxy
) -> None:
    model = "gpt-5"
    broken, *others = watched.cloud.deployments(model)
    seen = dashboard(visit, watched, model)
    at_first = [look(seen, each) for each in (broken, *others)]
    watched.cloud.fault(broken, "500")
    began = time.monotonic()
    asked(watched, model, 2 * len(others) + 2)
    await_badge(seen, broken, "Circuit open")
    took = time.monotonic() - began
    while_broken = [look(seen, each) for each in (broken, *others)]
    whole = seen.text(f"{entry(model)} > .line .badge")
    watched.cloud.heal()
    until(lambda: asked(watched, model) and look(seen, broken) == "good")

    assert at_first == ["good"] * 4
    assert while_broken == ["bad", "good", "good", "good"]
    assert took < RED_WITHIN
    assert whole == "3 of 4 ready"
    assert seen.text(badge(broken)) == "Ready"
    seen.await_text(f"{entry(model)} > .line .badge", "Ready")


def test_a_deployment_is_drained_by_a_button_and_restored_by_it(visit: Visitor, watched: Proxy) -> None:
    model = "gemini-3.5-flash"
    drained, *others = watched.cloud.deployments(model)
    seen = dashboard(visit, watched, model)
    button = seen.page.locator(f'.endpoint[data-deployment="{drained}"] button').first
    button.click()
    seen.page.get_by_role("button", name="Cancel").click()
    after_cancelling = standing(watched, drained)
    button.click()
    seen.page.get_by_role("dialog").get_by_role("button", name="Drain").click()
    await_badge(seen, drained, "Drained")
    while_drained = standing(watched, drained), set(asked(watched, model, 8))
    has_focus = button.evaluate("each => each === document.activeElement")
    button.click()
    await_badge(seen, drained, "Ready")

    assert after_cancelling == "ready"
    assert while_drained == ("drained", set(others))
    assert has_focus
    assert standing(watched, drained) == "ready"
    assert drained in asked(watched, model, 8)


def test_a_circuit_is_opened_and_closed_by_a_button(visit: Visitor, watched: Proxy) -> None:
    model = "amazon--nova-pro"
    opened = watched.cloud.deployments(model)[0]
    seen = dashboard(visit, watched, model)
    button = seen.page.locator(f'.endpoint[data-deployment="{opened}"] button').last
    button.click()
    seen.page.get_by_role("dialog").get_by_role("button", name="Open the circuit").click()
    seen.page.wait_for_selector(f"{badge(opened)}:not([data-look=good])")
    while_open = standing(watched, opened)
    button.get_by_text("Close circuit").click()
    await_badge(seen, opened, "Ready")

    assert while_open in ("open", "half-open: may be probed")
    assert standing(watched, opened) == "ready"


def test_the_strategy_of_a_model_is_switched(visit: Visitor, watched: Proxy) -> None:
    model = "gpt-5.5"
    seen = dashboard(visit, watched, model)
    form = seen.page.get_by_role("form", name=f"Strategy of {model}")
    switch = form.get_by_role("button", name="Switch")
    was_enabled = switch.is_enabled()
    form.get_by_label("Strategy", exact=True).select_option("least-connections")
    switch.click()
    seen.await_text("#action-result", f"The strategy of {model} is least-connections.")
    strategies = watched.ask("GET", "/router/state").json["strategies"]

    assert not was_enabled
    assert strategies[model] == "least-connections"
    assert {strategies[other] for other in strategies if other != model} == {"round-robin"}


def test_who_may_change_nothing_is_shown_everything_and_no_buttons(visit: Visitor, watched: Proxy, tab: Any) -> None:
    """Without an admin key, that is everybody whose request has come from another machine."""
    model = "gpt-4.1"
    tab.set_extra_http_headers({"X-Forwarded-For": "192.0.2.1"})
    try:
        seen = dashboard(visit, watched, model)
    finally:
        tab.set_extra_http_headers({})

    assert seen.text("#may-change") == "You may look here, and change nothing."
    assert seen.page.locator(f"{entry(model)} .endpoint").count() == 4
    assert seen.page.locator(f"{entry(model)} .body button, {entry(model)} .body select").count() == 0


def test_a_key_that_may_not_look_is_told_what_it_lacks(visit: Visitor, watched: Proxy, tmp_path: Path) -> None:
    keys = [{"name": "operator", "key": KEY, "admin": True}, {"name": "caller", "key": CALLER}]
    with running_proxy(watched.cloud, tmp_path, secret_authentication_tokens=[], keys=keys) as proxy:
        seen = visit(proxy.url)
        give_key(seen, CALLER)
        seen.await_text("#live", "Not allowed")
        why = seen.text("#live-why")
        entries = seen.page.locator(".entry, .tiles:visible").count()

        assert why.startswith("This needs an admin key")
        assert entries == 0
        assert seen.awaited("403", 1) == 1

        give_key(seen, KEY)
        seen.await_text("#live", "Live")


def test_decisions_are_narrowed_by_model_and_outcome_and_open_to_their_trail(visit: Visitor, watched: Proxy) -> None:
    failing, well = "anthropic--claude-4.5-haiku", "anthropic--claude-4.5-sonnet"
    first, *_ = watched.cloud.deployments(failing)
    watched.cloud.fault(first, "503")
    asked(watched, failing, 4)
    asked(watched, well)
    watched.ask("POST", "/v1/chat/completions", {"model": well, "messages": []})
    seen = dashboard(visit, watched)
    page = seen.page
    page.get_by_label("Only this model").select_option(failing)
    of_model = page.locator(
        ".decision:visible .name:first-of-type, .decision:visible td:nth-child(2)"
    ).all_inner_texts()
    row = page.locator(".decision:visible:has(.retries)").first
    row.get_by_role("button").click()
    attempts = page.get_by_role("list", name="Attempts").get_by_role("listitem").all_inner_texts()
    page.get_by_label("Only this model").select_option(well)
    page.get_by_label("Only this outcome").select_option("invalid_request")
    page.mouse.move(0, 0)
    refused = page.locator(".decision:visible .badge").all_inner_texts()

    assert (len(of_model), set(of_model)) == (4, {failing})
    assert [words.split("\n")[0].split(" ")[1] for words in attempts] == ["503", "ok"]
    assert all("selected by round-robin" in words for words in attempts)
    assert refused == ["invalid request"]
    assert seen.text("#decisions-count").startswith("1 of ")


def test_idle_models_are_collapsed_and_trouble_comes_before_traffic(visit: Visitor, watched: Proxy) -> None:
    models = len(watched.ask("GET", "/router/state").json["strategies"])
    quiet, busy = "gemini-2.5-flash", "gemini-2.5-pro"
    asked(watched, busy, 6)
    asked(watched, quiet)
    for each in watched.cloud.deployments(quiet):
        watched.cloud.fault(each, "429-provider")
    asked(watched, quiet, 2)
    seen = dashboard(visit, watched)
    seen.page.wait_for_selector(f"#busy-models > {entry(quiet)}")
    shown = seen.page.locator("#busy-models > .entry").evaluate_all("all => all.map(each => each.dataset.model)")
    idle = seen.page.locator("#idle-models > .entry").count()

    assert shown.index(quiet) < shown.index(busy)
    assert len(shown) + idle == models
    assert idle > 0
    assert seen.page.locator("#idle-models").is_hidden()
    assert seen.text("#idle-title").startswith(f"{idle} models without trouble")


def test_only_what_has_changed_is_written(visit: Visitor, watched: Proxy) -> None:
    model = "gemini-2.5-flash-lite"
    seen = dashboard(visit, watched, model, "gpt-5.3-codex")
    requests = f"{entry(model)} > .line dd >> nth=1"
    seen.page.evaluate(
        """() => {
          window.touched = new Set();
          const look = (records) => records.forEach(({ target }) => {
            const row = (target.nodeType === 1 ? target : target.parentElement)?.closest(".entry");
            if (row) touched.add(row.dataset.model);
          });
          const all = { subtree: true, childList: true, characterData: true, attributes: true };
          new MutationObserver(look).observe(document.getElementById("dashboard"), all);
        }"""
    )

    calm = seen.page.locator(".entry[data-look=good]").evaluate_all("all => all.map(each => each.dataset.model)")

    def touched_by_a_request() -> list[str]:
        """Ask once, and list which models are written anew, without those in trouble: their countdowns go on."""
        before = seen.text(requests)
        seen.page.evaluate("touched.clear()")
        asked(watched, model)
        until(lambda: seen.text(requests) != before)
        return seen.page.evaluate("calm => calm.filter((name) => touched.has(name))", calm)

    # When a minute ends meanwhile, that changes all; the next minute does not end so soon.
    assert model in (first := touched_by_a_request())
    assert first == [model] or touched_by_a_request() == [model]


def test_a_connection_that_is_lost_is_said_to_be_and_comes_back(visit: Visitor, watched: Proxy) -> None:
    seen = visit(watched.url)
    seen.page.evaluate("key => sessionStorage.setItem('sap-ai-proxy-key', key)", KEY)
    seen.page.route("**/router/events", lambda route: route.fulfill(content_type="text/event-stream", body=":\n\n"))
    try:
        seen.page.goto(f"{watched.url}/#dashboard")
        seen.page.reload()
        seen.await_text("#live", "Connection lost")
        why = seen.text("#live-why")
    finally:
        seen.page.unroute("**/router/events")
    seen.await_text("#live", "Live")

    assert why == "The proxy has closed the connection."
    assert seen.text("#live-why") == ""
    assert seen.page.locator(".entry").count() > 0


def test_a_wrong_key_is_called_wrong_in_the_dashboard_and_a_good_one_opens_it(visit: Visitor, watched: Proxy) -> None:
    seen = visit(watched.url)
    seen.page.get_by_role("link", name="Dashboard").click()
    at_first = [request.url for request in seen.requests if "/router/" in request.url]
    seen.page.get_by_label("A key of this proxy").fill("sk-wrong")
    seen.page.keyboard.press("Enter")
    seen.await_text(
        "#key-error", "The proxy does not accept this key. Where it runs, sap-ai-proxy connect key prints one."
    )
    entries = seen.page.locator(".entry").count()

    assert seen.awaited("401", 2) == 2

    seen.page.get_by_label("A key of this proxy").fill(KEY)
    seen.page.keyboard.press("Enter")
    seen.await_text("#live", "Live")
    seen.page.wait_for_selector(".entry", state="attached")

    assert (at_first, entries) == ([], 0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_dashboard_can_be_read_in_either_scheme_and_never_by_colour_alone(
    visit: Visitor, watched: Proxy, scheme: str
) -> None:
    model = "anthropic--claude-4.8-opus"
    broken, *_ = watched.cloud.deployments(model)
    watched.cloud.fault(broken, "500")
    asked(watched, model, 10)
    seen = dashboard(visit, watched, model, color_scheme=scheme, reduced_motion="reduce")
    seen.page.locator(".decision button").first.click()
    texts = contrasts(seen.page)
    mute = seen.page.evaluate(
        """() => [...document.querySelectorAll(".badge")].filter((each) => each.checkVisibility())
          .filter((each) => !each.innerText || each.querySelectorAll("svg path").length === 0).length"""
    )

    assert [each for each in texts if each.ratio < (4.5 if each.kind == "text" else 3)] == []
    assert len(texts) > 100
    assert mute == 0
    assert seen.page.evaluate("document.getAnimations().length") == 0


def test_a_phone_shows_the_dashboard_without_scrolling_sideways(visit: Visitor, watched: Proxy) -> None:
    model = "anthropic--claude-4.5-sonnet"
    asked(watched, model)
    seen = dashboard(visit, watched, model, width=PHONE)
    seen.page.locator(".decision button").first.click()
    seen.page.get_by_text("The same as a table").first.click()
    cut = seen.page.evaluate(
        """() => [...document.querySelectorAll("#dashboard *")]
          .filter((each) => each.checkVisibility() && !each.closest(".numbers, .unseen, .chart"))
          .filter((each) => each.getBoundingClientRect().right > innerWidth + 0.5).map((each) => each.outerHTML)"""
    )
    small = seen.page.evaluate(
        """() => [...document.querySelectorAll("#dashboard button, #dashboard select, #dashboard summary")]
          .filter((each) => each.checkVisibility() && each.getBoundingClientRect().height < 24)
          .map((each) => each.outerHTML)"""
    )

    assert seen.page.evaluate("document.documentElement.scrollWidth") == PHONE
    assert (cut, small) == ([], [])


def test_the_dashboard_can_be_used_by_keyboard(visit: Visitor, watched: Proxy) -> None:
    model = "gpt-5"
    asked(watched, model)
    seen = visit(watched.url)
    keys, page = seen.page.keyboard, seen.page

    def tab_to(selector: str) -> str:
        """Press Tab until something has the focus, and give how that is seen."""
        for _ in range(60):
            keys.press("Tab")
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                break
        return page.evaluate(
            """() => [null, "::after"].map((part) => getComputedStyle(document.activeElement, part).outlineStyle)
              .find((style) => style !== "none") ?? 'none'"""
        )

    outlines = [tab_to('a[href="#dashboard"]')]
    keys.press("Enter")
    page.wait_for_function("() => document.activeElement.id === 'dashboard-title'")
    outlines += [tab_to("#key")]
    keys.type(KEY)
    keys.press("Enter")
    page.wait_for_selector(f"#busy-models > {entry(model)}")
    outlines += [tab_to(f"{entry(model)} h3 button")]
    keys.press("Enter")
    opened = page.get_by_role("button", name=model, exact=True).get_attribute("aria-expanded")
    outlines += [tab_to(f"{entry(model)} summary")]
    keys.press("Enter")
    outlines += [tab_to(f"{entry(model)} [data-action=drain]")]
    keys.press("Enter")
    on_cancel = seen.focused
    keys.press("Escape")
    page.wait_for_function("() => document.activeElement.dataset.action === 'drain'")
    outlines += [tab_to("#decisions-model"), tab_to(".decision button")]
    keys.press("Enter")

    assert outlines == ["solid"] * 7
    assert opened == "true"
    assert page.locator(f"{entry(model)} .numbers tbody tr").count() == 60
    assert on_cancel == "confirm-no"
    assert page.locator(".details:visible").count() == 1


def test_a_screen_reader_hears_every_chart_in_words_and_no_number_by_itself(visit: Visitor, watched: Proxy) -> None:
    model = "anthropic--claude-4.5-sonnet"
    asked(watched, model, 2)
    seen = dashboard(visit, watched, model)
    found = seen.page.context.new_cdp_session(seen.page).send("Accessibility.getFullAXTree")["nodes"]
    nodes = [
        (node["role"]["value"], node.get("name", {}).get("value", ""), {each["name"] for each in node["properties"]})
        for node in found
        if not node["ignored"] and "properties" in node
    ]
    charts = [name for role, name, _ in nodes if role in ("image", "img")]
    buttons = [name for role, name, _ in nodes if role == "button" and not name[0].isdigit()]
    levels = [
        int(level)
        for level in seen.page.locator(":is(h1, h2, h3, h4):visible").evaluate_all(
            "all => all.map(each => each.tagName[1])"
        )
    ]
    live = seen.page.evaluate(
        """() => [...document.querySelectorAll("#dashboard :is([role=status], [role=alert], [aria-live])")]
          .map((each) => each.id)"""
    )

    assert {name.split(" in the last hour")[0] for name in charts} >= FIGURES
    assert all(any(letter.isdigit() for letter in name) for name in charts)
    assert sorted(set(buttons)) == sorted(buttons)
    assert levels[0] == 1
    assert [(one, two) for one, two in itertools.pairwise(levels) if two > one + 1] == []
    assert live == ["live", "key-error", "decisions-count"]
