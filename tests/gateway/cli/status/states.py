"""States of a router, as `/router/state` tells them, for what looks at them."""

from typing import Any

from gateway.cli.status.view import Snapshot

STARTED = 1_700_000_000.0
"""When the proxy was started: 22:13:20 in UTC."""
NO_TOKENS = {"input": 0, "cache_read": 0, "cache_write": 0, "output": 0}


def endpoint(deployment: str = "d1", worker: int = 11, **differs: Any) -> dict[str, Any]:
    """Write the row of an endpoint that is well; *counts* are added to none."""
    counts = {"answered": 0, "failed": 0, "refused": 0, "first_content_seconds": 0.0, "tokens": NO_TOKENS}
    row = {
        "subaccount": "eu", "deployment": deployment, "model": "gpt-5", "standing": "ready", "circuit": "closed",
        "why": "never failed", "seconds": 0.0, "k": 0, "cooldown": None, "in_flight": 0, "latency": 0.5, "weight": 1.0,
        "tier": 0, "orchestration": False, "standby": False, "last_error": None, "worker": worker,
    }  # fmt: skip
    return {**row, **differs, "counts": {**counts, **differs.get("counts", {})}}


def worker(pid: int = 11, **differs: Any) -> dict[str, Any]:
    row = {
        "worker": pid, "accepting": True, "ready": True, "retiring": False, "open_requests": 0,
        "log_lines_dropped": 0, "started": STARTED, "outcomes": {},
    }  # fmt: skip
    return {**row, **differs}


def decision(**differs: Any) -> dict[str, Any]:
    row = {
        "at": STARTED + 50, "id": "r1", "caller": "f77894fd", "client": "openai-chat", "requested": "gpt-5",
        "model": "gpt-5", "subaccount": "eu", "deployment": "d1", "stream": True, "reasons": ["round-robin"],
        "trail": "eu/d1 ok", "status": 200, "outcome": "ok", "first_content": 0.25, "duration": 1.5,
        "tokens": {"input": 10, "cache_read": 20, "cache_write": 30, "output": 40}, "worker": 11,
    }  # fmt: skip
    return {**row, **differs}


def snapshot(endpoints: list[dict[str, Any]] | None = None, at: float = 60.0, **differs: Any) -> Snapshot:
    """Write the state of a proxy so many seconds after its start, by all clocks."""
    state = {
        "version": "1.2.3", "at": STARTED + at, "started": STARTED, "status": "ready", "subaccounts": {"eu": "ok"},
        "strategies": {}, "endpoints": [endpoint()] if endpoints is None else endpoints, "endings": [], "outcomes": {},
        "decisions": [], "workers": [worker()],
    }  # fmt: skip
    return Snapshot(at, {**state, **differs})
