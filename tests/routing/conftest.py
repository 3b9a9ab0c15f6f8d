"""How many examples of a property are tried, where EXAMPLES asks for few."""

from hypothesis import settings

from tests.routing.scenes import FEW

if FEW:
    settings.register_profile("few", max_examples=FEW, derandomize=True, database=None, deadline=None)
    settings.load_profile("few")
