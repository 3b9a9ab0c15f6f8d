"""The protocol of Google's generateContent API on Vertex."""

from urllib.parse import quote

from dialects import gemini
from dialects.capabilities.models import ModelProfile, Vendor
from proxy_helpers import Converters
from routing.protocols.base import ProtocolHandler, RequestConverter, ResponseConverter

_VERBS = {True: "streamGenerateContent", False: "generateContent"}


class GeminiGenerateProtocol(ProtocolHandler):
    """Posts to `/models/<model>:generateContent` or `:streamGenerateContent`."""

    name = "gemini-generate"
    dialect = gemini.DIALECT

    def build_endpoint(self, base_url: str, model: str, stream: bool) -> str:
        """Return the URL with the bare name of the model, without a vendor prefix or the verb of a client's path."""
        bare = model.rpartition("/")[2].rpartition("--")[2].partition(":")[0]
        return f"{base_url.rstrip('/')}/models/{quote(bare, safe='')}:{_VERBS[stream]}"

    def get_request_converter(self) -> RequestConverter:
        """Return the converter from OpenAI chat to Gemini."""
        return Converters.convert_openai_to_gemini

    def get_response_converter(self) -> ResponseConverter:
        """Return the converter from Gemini to OpenAI chat."""
        return Converters.convert_gemini_to_openai

    def speaks(self, profile: ModelProfile) -> bool:
        """Return whether the model is a Gemini."""
        return profile.vendor is Vendor.GEMINI
