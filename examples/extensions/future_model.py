"""A protocol of one's own: models whose deployments want another path.

Name this module in the config file:

    "extensions": ["future_model"]
"""

from routing import OpenAIChatProtocol, RequestRouter


class FutureModelProtocol(OpenAIChatProtocol):
    """Posts OpenAI's chat dialect to the path of a model that is not out yet."""

    name = "future-model"

    def build_endpoint(self, base_url: str, model: str, stream: bool) -> str:
        """Write the URL to post to; the model's name is part of it, and streams have a path of their own."""
        return f"{base_url.rstrip('/')}/v3/{model}/{'stream' if stream else 'answer'}"


def extend(router: RequestRouter) -> None:
    """Ask every model whose name begins so in this protocol."""
    router.register_converter("future-model-*", FutureModelProtocol())
