"""The models that orchestration deployments serve: from the settings, the catalogue or the built-in list."""

from collections.abc import Callable, Collection
from datetime import date

from gateway.config.orchestration import ORCHESTRATED, OrchestrationOptions
from gateway.config.subaccounts import SubAccount
from gateway.upstream.catalogue import Catalogue


class OrchestratedModels:
    """Returns the models that the orchestration deployments of a subaccount serve; call it with the subaccount.

    A list in the *options* has priority over the *catalogue*, which `ask` looks up. Without either, the built-in list
    is used. Models of the catalogue that are retired by *today* are left out.
    """

    def __init__(self, options: OrchestrationOptions, catalogue: Catalogue, today: Callable[[], date]) -> None:
        self._options = options
        self._catalogue = catalogue
        self._today = today

    def ask(self, subaccount: SubAccount) -> None:
        """Look up the catalogue if it is used and due."""
        if self._options.models is None:
            self._catalogue.look_up(subaccount)

    def __call__(self, subaccount: SubAccount) -> Collection[str]:
        """Return the models that are known now, in the order of their source."""
        if self._options.models is not None:
            return tuple(dict.fromkeys(self._options.models))
        return self._listed(subaccount) or ORCHESTRATED

    def asked(self, subaccount: SubAccount) -> Collection[str]:
        """Look up the catalogue if that is due, then return the models."""
        self.ask(subaccount)
        return self(subaccount)

    def is_guess(self, subaccount: SubAccount) -> bool:
        """Return whether the models come from the built-in list."""
        return self._options.models is None and not self._listed(subaccount)

    def _listed(self, subaccount: SubAccount) -> Collection[str]:
        models = [model for model in self._catalogue.of(subaccount.name).values() if model.orchestration]
        today = self._today()
        ends = {model.name: model.ends() for model in models}
        return tuple(name for name, end in ends.items() if end is None or end >= today)
