"""Settings of SAP AI Core's own records of requests, and the headers that request them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

LABEL_PREFIX: Final = "ext.ai.sap.com/"
"""How SAP AI Core wants the names of labels that are not its own to begin."""
LONGEST_VALUE: Final = 256
"""How many characters the value of a label may have."""
_SEPARATORS: Final = ",="
"""What stands between labels, and between the name and the value of each."""


def fits(letter: str) -> bool:
    """Tell whether the value of a label may hold a letter."""
    return " " <= letter <= "~" and letter not in _SEPARATORS


@dataclass(frozen=True, slots=True)
class Observability:
    """What SAP AI Core notes of each request; `gateway.config.observability_section` says what may stand here."""

    labels: Mapping[str, str] = field(default_factory=dict)
    caller_label: str | None = None
    persistence_mode: str | None = None
    object_store_secret: str | None = None

    def headers(self) -> Mapping[str, str]:
        """Write the headers that every request to a deployment has; none where nothing is configured."""
        written = {
            "ai-inference-observability-persistence-mode": self.persistence_mode,
            "ai-object-store-secret-name": self.object_store_secret,
            **_labels_header(self.labels),
        }
        return {name: value for name, value in written.items() if value}

    def headers_for(self, caller: str) -> Mapping[str, str]:
        """Write what replaces these headers for a request of *caller*; nothing where its name is not sent."""
        if self.caller_label is None:
            return {}
        value = "".join(letter if fits(letter) else "_" for letter in caller[:LONGEST_VALUE]).strip()
        return _labels_header({**self.labels, self.caller_label: value or "_"})


def _labels_header(labels: Mapping[str, str]) -> dict[str, str]:
    written = ",".join(f"{LABEL_PREFIX}{name}={value}" for name, value in labels.items())
    return {"ai-inference-observability-labels": written} if written else {}
