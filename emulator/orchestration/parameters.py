"""Parameters of all vendors' models, under the names that orchestration has for them."""

from emulator.world import Json


def token_limit(params: Json) -> int | None:
    """Return the maximum length of an answer in tokens, under either name."""
    limit = params.get("max_completion_tokens")
    return params.get("max_tokens") if limit is None else limit


def stop_strings(params: Json) -> list[str]:
    """Return the stop strings, of which there may be one or several."""
    stop = params.get("stop")
    return [stop] if isinstance(stop, str) else list(stop or [])
