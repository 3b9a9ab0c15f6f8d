"""Settings of the request records that SAP AI Core keeps, and the headers that request them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

LABEL_PREFIX: Final = "ext.ai.sap.com/"
"""The prefix that SAP AI Core requires for the names of a customer's own labels."""
LONGEST_VALUE: Final = 256
"""The maximum length of a label's value, in characters."""
_SEPARATORS: Final = ",="
"""The separators between labels, and between the name and the value of a label."""


def fits(letter: str) -> bool:
    """Return whether the value of a label may contain this character."""
    return " " <= letter <= "~" and letter not in _SEPARATORS


@dataclass(frozen=True, slots=True)
class Observability:
    """What SAP AI Core records of each request. `gateway.config.observability_section` defines the permitted values."""

    labels: Mapping[str, str] = field(default_factory=dict)
    caller_label: str | None = None
    persistence_mode: str | None = None
    object_store_secret: str | None = None

    def headers(self) -> Mapping[str, str]:
        """Build the headers for every request to a deployment; empty if nothing is configured."""
        written = {
            "ai-inference-observability-persistence-mode": self.persistence_mode,
            "ai-object-store-secret-name": self.object_store_secret,
            **_labels_header(self.labels),
        }
        return {name: value for name, value in written.items() if value}

    def headers_for(self, caller: str) -> Mapping[str, str]:
        """Build the headers that replace these for a request of *caller*; empty if the caller's name is not sent."""
        if self.caller_label is None:
            return {}
        value = "".join(letter if fits(letter) else "_" for letter in caller[:LONGEST_VALUE]).strip()
        return _labels_header({**self.labels, self.caller_label: value or "_"})


def _labels_header(labels: Mapping[str, str]) -> dict[str, str]:
    written = ",".join(f"{LABEL_PREFIX}{name}={value}" for name, value in labels.items())
    return {"ai-inference-observability-labels": written} if written else {}
