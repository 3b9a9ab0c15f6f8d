"""The media that one request names by URL, for endpoints that need their bytes."""

from collections.abc import Callable, Collection
from contextlib import suppress

from dialects.core.faults import Fault, FaultError, FaultKind
from dialects.registry import traits
from dialects.translator import ClientRequest
from gateway.media.inline import names_urls
from routing.model_names import How, Resolution
from routing.request_router import RequestRouter

Inline = Callable[[ClientRequest], ClientRequest]
"""Fetches the media of a request, and returns the request with their bytes."""


class RequestMedia:
    """Inlines the media of a request once, for all attempts, and at times when the request holds no lease.

    *dialects* returns the dialects of the model's endpoints. Methods get the function that inlines, because the
    exchange that has it also has this object: a cycle would keep the request in memory after its end.

    =========================  ==========================================================================
    endpoints that need bytes  when the media are fetched
    =========================  ==========================================================================
    all                        before the first attempt
    some                       before the second attempt, or as soon as the first one has met such an endpoint
    none                       never
    =========================  ==========================================================================
    """

    def __init__(
        self,
        request: ClientRequest,
        dialects: Callable[[], Collection[str]],
    ) -> None:
        self._request = request
        self._dialects = dialects
        self._has_urls = names_urls(request)
        self._inlined: ClientRequest | None = None
        self._fault: Fault | None = None
        """Why the media are not fetched. It concerns only the endpoints that need the bytes."""

    def prepare(self, inline: Inline, *, first: bool) -> None:
        """Fetch the media if the next attempt needs them, as far as is known; *first* if it is the first attempt.

        Raises `FaultError` if no endpoint can serve the request without them, or the request is over.
        """
        if self._is_settled():
            return
        needing = [not traits(dialect).fetches_media for dialect in self._dialects()]
        if first and needing and all(needing):
            self.fetch(inline)
        elif not first and any(needing):
            self.try_to_fetch(inline)

    def lacks(self, dialect: str) -> bool:
        """Return whether media must be fetched before the request is sent to a backend of *dialect*."""
        return not (self._is_settled() or traits(dialect).fetches_media)

    def fetch(self, inline: Inline) -> None:
        """Fetch the media; raises `FaultError`."""
        self._inlined = inline(self._request)

    def try_to_fetch(self, inline: Inline) -> None:
        """Fetch the media for those endpoints that need the bytes; a failure concerns only them.

        Raises `FaultError` if the request is over.
        """
        try:
            self.fetch(inline)
        except FaultError as error:
            if error.fault.kind is not FaultKind.INVALID_REQUEST:
                raise
            self._fault = error.fault

    def request_for(self, dialect: str, inline: Inline) -> ClientRequest:
        """Return the request for a backend of *dialect*; raises `FaultError` if it lacks media."""
        if not self._has_urls or traits(dialect).fetches_media:
            return self._request
        if self._fault is not None:
            raise FaultError(self._fault)
        if self._inlined is None:
            self.fetch(inline)
        return self._inlined or self._request

    def _is_settled(self) -> bool:
        """Return whether there is nothing to fetch, or no more."""
        return not self._has_urls or self._inlined is not None or self._fault is not None


def backend_dialects(
    router: RequestRouter, requested: str, resolution: Resolution, client: str, tools_with_reasoning: bool
) -> set[str]:
    """Return the dialects in which the endpoints of a model are asked for a *client* that *requested* it by a name."""
    name = "" if resolution.how is How.FALLBACK else requested
    found = set()
    for endpoint in router.balancer.endpoints(resolution.model):
        with suppress(FaultError):  # no protocol fits this endpoint
            protocol = router.protocol_at(endpoint, client, requested=name, tools_with_reasoning=tools_with_reasoning)
            found.add(protocol.dialect)
    return found
