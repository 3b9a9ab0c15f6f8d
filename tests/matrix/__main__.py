"""Write the page of the matrix anew."""

from tests.matrix.page import PATH, render

PATH.parent.mkdir(exist_ok=True)
PATH.write_text(render(), encoding="utf-8")
