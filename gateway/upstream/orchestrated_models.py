"""Which models orchestration deployments serve: what the settings say, or the catalogue, or what is built in."""

from collections.abc import Callable, Collection
from datetime import date

from gateway.config.orchestration import ORCHESTRATED, OrchestrationOptions
from gateway.config.subaccounts import SubAccount
from gateway.upstream.catalogue import Catalogue


class OrchestratedModels:
    """Names the models that the orchestration deployments of a subaccount serve, by what is known.

    What the *options* list outranks the *catalogue*, which is read by `ask`; without either it is what is built in. A
    model that has ended by *today* is left out. Call it with a subaccount.
    """

    def __init__(self, options: OrchestrationOptions, catalogue: Catalogue, today: Callable[[], date]) -> None:
        self._options = options
        self._catalogue = catalogue
        self._today = today

    def ask(self, subaccount: SubAccount) -> None:
        """Ask for the catalogue, where it counts and that is due."""
        if self._options.models is None:
            self._catalogue.look_up(subaccount)

    def __call__(self, subaccount: SubAccount) -> Collection[str]:
        """List them, in the order of where they are named."""
        if self._options.models is not None:
            return tuple(dict.fromkeys(self._options.models))
        return self._listed(subaccount) or ORCHESTRATED

    def asked(self, subaccount: SubAccount) -> Collection[str]:
        """List them as `ask` finds them."""
        self.ask(subaccount)
        return self(subaccount)

    def is_guess(self, subaccount: SubAccount) -> bool:
        """Whether neither the settings nor the catalogue say which they are, so that it is what is built in."""
        return self._options.models is None and not self._listed(subaccount)

    def _listed(self, subaccount: SubAccount) -> Collection[str]:
        models = [model for model in self._catalogue.of(subaccount.name).values() if model.orchestration]
        today = self._today()
        ends = {model.name: model.ends() for model in models}
        return tuple(name for name, end in ends.items() if end is None or end >= today)
