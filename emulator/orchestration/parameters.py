"""Parameters that every vendor's models share, under the names that orchestration has for them."""

from emulator.world import Json


def token_limit(params: Json) -> int | None:
    """Read how long an answer may be, by either name."""
    limit = params.get("max_completion_tokens")
    return params.get("max_tokens") if limit is None else limit


def stop_strings(params: Json) -> list[str]:
    """Read the stop strings: one, or several."""
    stop = params.get("stop")
    return [stop] if isinstance(stop, str) else list(stop or [])
