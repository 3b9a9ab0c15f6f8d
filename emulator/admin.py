"""The `/admin` routes of the emulator, which SAP AI Core does not have: faults, settings, recorded requests."""

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from flask import Blueprint, Response, request

from emulator.faults import Fault
from emulator.framing import dump
from emulator.management import address
from emulator.models import ORCHESTRATION
from emulator.state import Emulator
from emulator.world import Json, service_key


def blueprint(emulator: Emulator) -> Blueprint:
    """Build the admin routes, which only callers on this machine may use."""
    routes = Blueprint("admin", __name__, url_prefix="/admin")
    routes.before_request(_local_only)
    _faults(routes, emulator)
    _switches(routes, emulator)
    _windows(routes, emulator)
    return routes


def _local_only() -> Response | None:
    """Return a 403 for a caller that is not on this machine."""
    caller = request.remote_addr
    if caller is None or ip_address(caller).is_loopback:
        return None
    return _json({"error": "only from this machine"}, 403)


def _faults(routes: Blueprint, emulator: Emulator) -> None:
    """Add the routes that break and heal deployments."""

    @routes.get("/faults")
    def show_faults() -> Response:
        return _json(emulator.faults.as_json())

    @routes.put("/faults/<id>")
    def set_fault(id: str) -> Response:
        if not _known(emulator, id):
            return _json({"error": f"no deployment {id}"}, 404)
        return _tried(lambda: emulator.faults.set(id, Fault.parse(_body())))

    @routes.delete("/faults/<id>")
    def heal_one(id: str) -> Response:
        emulator.faults.heal(id)
        return _json({})

    @routes.delete("/faults")
    def heal_all() -> Response:
        emulator.faults.heal()
        return _json({})


def _switches(routes: Blueprint, emulator: Emulator) -> None:
    """Add the routes that change settings and states."""

    @routes.get("/settings")
    def show_settings() -> Response:
        return _json(emulator.settings.as_json())

    @routes.put("/settings")
    def change_settings() -> Response:
        return _tried(lambda: emulator.change(_body()).as_json())

    @routes.put("/deployments/<id>")
    def set_status(id: str) -> Response:
        return _tried(lambda: emulator.set_status(id, str(_body().get("status"))))

    @routes.delete("/tokens")
    @routes.delete("/tokens/<tenant>")
    def revoke(tenant: str | None = None) -> Response:
        return _json({"revoked": emulator.tokens.revoke(tenant)})

    @routes.delete("/cache")
    def forget() -> Response:
        for cache in emulator.caches.values():
            cache.forget()
        return _json({})


def _windows(routes: Blueprint, emulator: Emulator) -> None:
    """Add the routes that show the state and the recorded requests."""

    @routes.get("/requests")
    def show_requests() -> Response:
        return _json(emulator.recorder.requests(request.args.get("deployment")))

    @routes.delete("/requests")
    def forget_requests() -> Response:
        emulator.recorder.clear()
        return _json({})

    @routes.get("/tenants")
    def show_tenants() -> Response:
        return _json(_tenants(emulator, request.host_url.rstrip("/")))

    @routes.get("/state")
    def show_state() -> Response:
        totals = {name: cache.totals for name, cache in emulator.caches.items()}
        cache = {
            name: {"cacheable_tokens": total.cacheable, "read_tokens": total.read, "requests": total.requests}
            for name, total in totals.items()
        }
        return _json(emulator.recorder.counts() | {"cache": cache, "faults": emulator.faults.as_json()})


def _tenants(emulator: Emulator, base: str) -> Json:
    """Return the tenants with their credentials and deployments."""
    return {
        tenant.name: {
            "resource_group": tenant.resource_group,
            "resource_groups": list(tenant.resource_groups),
            "service_key": service_key(tenant, base),
            "deployments": [
                {
                    "id": one.id,
                    "url": address(one, base),
                    "model": _model(one),
                    "status": emulator.status(one),
                    "resource_group": one.group or tenant.resource_group,
                }
                for one in emulator.all_deployments(tenant)
            ],
        }
        for tenant in emulator.world.tenants
    }


def _model(one: Any) -> str | None:
    """Return the name of a deployment's model; orchestration has none."""
    return None if one.model is ORCHESTRATION else one.model.name


def _known(emulator: Emulator, id: str) -> bool:
    """Return whether *id* can have a fault: a deployment, or the tokens or the management of a tenant."""
    kind, _, name = id.partition(":")
    return id in emulator.stores or (kind in ("token", "management") and name in emulator.caches)


def _tried(change: Callable[[], Any]) -> Response:
    """Return the response to a change, or a 400 or 404 if it fails."""
    try:
        made = change()
    except (ValueError, TypeError) as error:
        return _json({"error": str(error)}, 400)
    except KeyError as error:
        return _json({"error": f"nothing called {error}"}, 404)
    return _json(made or {})


def _body() -> Json:
    """Parse the JSON body of an admin request; raises `TypeError` if it is not an object."""
    body = request.get_json(force=True, silent=True)
    if not isinstance(body, dict):
        raise TypeError("the body must be a JSON object")
    return body


def _json(body: Any, status: int = 200) -> Response:
    """Build a JSON response."""
    return Response(dump(body), status, mimetype="application/json")
