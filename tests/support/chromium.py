"""Debian's Chromium, driven by Playwright: each visit has an empty profile and reaches nothing but this machine."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.processes import PATIENCE

REQUIRED = "CHROMIUM_REQUIRED"
"""The environment variable with which a missing browser is a failure; without it, tests that need one are skipped."""
_ARGUMENTS = (
    "--no-sandbox",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
_PATIENCE = PATIENCE * 1000
"""Milliseconds."""


@contextmanager
def running_browser() -> Iterator[Any]:
    """Run a browser without a window."""
    program = shutil.which("chromium")
    if program is None:
        missing = "There is no chromium here: apt-get install chromium."
        pytest.fail(missing) if os.environ.get(REQUIRED) else pytest.skip(missing)
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - takes half a second, and only this needs it

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visit:
    """A tab in a profile of its own, and what was amiss in it."""

    page: Any
    origin: str
    complaints: list[str] = field(default_factory=list)
    requests: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(_PATIENCE)
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type != "log" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request))  # noqa: PLW0108 - Playwright marks what it is given

    @property
    def elsewhere(self) -> list[str]:
        """The requests to other origins."""
        urls = [request.url for request in self.requests]
        return [url for url in urls if "{0.scheme}://{0.netloc}".format(urlsplit(url)) != self.origin]

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def await_text(self, selector: str, *texts: str) -> str:
        """Wait until an element says one of some texts."""
        self.page.wait_for_function(
            "([selector, texts]) => texts.includes(document.querySelector(selector).innerText)", arg=[selector, texts]
        )
        return self.text(selector)

    @property
    def focused(self) -> str:
        """The id of what has the focus, or its name where it has none."""
        return self.page.evaluate("document.activeElement.id || document.activeElement.ariaLabel || ''")


Visitor = Callable[..., Visit]


@contextmanager
def visitors(browser: Any) -> Iterator[Visitor]:
    """Give what opens a page; in the end no visit may have met an error that it did not await, nor left the proxy."""
    visits: list[Visit] = []

    def visit(url: str, script: str = "", **context: Any) -> Visit:
        profile = browser.new_context(**context)
        if script:
            profile.add_init_script(script)
        visits.append(Visit(profile.new_page(), url))
        visits[-1].page.goto(f"{url}/")
        return visits[-1]

    try:
        yield visit
    finally:
        for each in visits:
            each.page.context.close()
    assert [each.complaints for each in visits if each.complaints] == []
    assert [each.elsewhere for each in visits if each.elsewhere] == []
