"""Debian's Chromium, driven by Playwright: its profile is empty, and it reaches nothing but this machine."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
def running_tab() -> Iterator[Any]:
    """Run a browser without a window; its one tab takes what tests visit, one after another, as that is cheapest."""
    program = shutil.which("chromium")
    if program is None:
        missing = "There is no chromium here: apt-get install chromium."
        pytest.fail(missing) if os.environ.get(REQUIRED) else pytest.skip(missing)
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - takes half a second, and only this needs it

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_ARGUMENTS, timeout=_PATIENCE)
        try:
            page = browser.new_context(permissions=["clipboard-read", "clipboard-write"]).new_page()
            page.set_default_timeout(_PATIENCE)
            yield page
        finally:
            browser.close()


class Visit:
    """A page that is looked at, and what was amiss with it."""

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[Any] = []
        self._origin = url
        self._listeners = {
            "console": lambda said: self.complaints.append(said.text),
            "pageerror": lambda error: self.complaints.append(str(error)),
            "request": lambda request: self.requests.append(request),  # noqa: PLW0108 - Playwright marks what it is given
        }
        for event, listener in self._listeners.items():
            page.on(event, listener)

    def close(self) -> None:
        """Look no longer, and leave nothing behind; nothing may be amiss but what was awaited."""
        for event, listener in self._listeners.items():
            self.page.remove_listener(event, listener)
        self.page.evaluate("sessionStorage.clear()")
        urls = [request.url for request in self.requests]
        elsewhere = [url for url in urls if "{0.scheme}://{0.netloc}".format(urlsplit(url)) != self._origin]

        assert (self.complaints, elsewhere) == ([], []), (self.complaints, elsewhere)

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def await_text(self, selector: str, text: str) -> str:
        """Wait until an element says a text."""
        self.page.wait_for_function(
            "([selector, text]) => document.querySelector(selector).innerText === text", arg=[selector, text]
        )
        return text

    def awaited(self, word: str, number: int) -> int:
        """Wait for so many complaints that have a word; count all of them, which are no longer amiss."""
        while sum(word in each for each in self.complaints) < number:
            self.page.wait_for_event("console")
        found = [each for each in self.complaints if word in each]
        self.complaints = [each for each in self.complaints if word not in each]
        return len(found)

    @property
    def focused(self) -> str:
        """The id of what has the focus, or its name where it has none."""
        return self.page.evaluate("document.activeElement.id || document.activeElement.ariaLabel || ''")


Visitor = Callable[..., Visit]


@contextmanager
def visitor(page: Any) -> Iterator[Visitor]:
    """Give what looks at a proxy as a new visitor, in a tab of a size and with *media* such as a colour scheme."""
    visits: list[Visit] = []

    def visit(url: str, width: int = 1280, **media: str) -> Visit:
        if visits:
            visits.pop().close()
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(**{"color_scheme": "light", "reduced_motion": "no-preference", **media})
        visits.append(Visit(page, url))
        page.goto(f"{url}/")
        return visits[-1]

    yield visit
    visits.pop().close()
