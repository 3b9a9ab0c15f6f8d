"""How many examples of a property are tried, where EXAMPLES asks for few."""

from hypothesis import HealthCheck, settings

from tests.routing.scenes import FEW

if FEW:
    # One process runs each test again and again, as another instance of its class each time.
    again = [HealthCheck.differing_executors]
    settings.register_profile(
        "few", max_examples=FEW, derandomize=True, database=None, deadline=None, suppress_health_check=again
    )
    settings.load_profile("few")
