"""Google's generateContent, on Vertex."""

from urllib.parse import quote

from dialects import gemini
from dialects.capabilities.models import ModelProfile, Vendor
from proxy_helpers import Converters
from routing.protocols.base import ProtocolHandler, RequestConverter, ResponseConverter

_VERBS = {True: "streamGenerateContent", False: "generateContent"}


class GeminiGenerateProtocol(ProtocolHandler):
    """Posts to `/models/<model>:generateContent`."""

    name = "gemini-generate"
    dialect = gemini.DIALECT

    def build_endpoint(self, base_url: str, model: str, stream: bool) -> str:
        """Name the model in the path, bare: no prefix, and no verb that a client left on it."""
        bare = model.rpartition("/")[2].rpartition("--")[2].partition(":")[0]
        return f"{base_url.rstrip('/')}/models/{quote(bare, safe='')}:{_VERBS[stream]}"

    def get_request_converter(self) -> RequestConverter:
        """Render the request as Gemini wants it."""
        return Converters.convert_openai_to_gemini

    def get_response_converter(self) -> ResponseConverter:
        """Understand Gemini's answer."""
        return Converters.convert_gemini_to_openai

    def speaks(self, profile: ModelProfile) -> bool:
        """Take every Gemini."""
        return profile.vendor is Vendor.GEMINI
