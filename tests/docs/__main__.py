"""Writes the pages that are made from the code: `make docs-reference`."""

from tests.docs.pages import PAGES, with_reference

for page, reference in PAGES.items():
    page.write_text(with_reference(page, reference()), encoding="utf-8")
