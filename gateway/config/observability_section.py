"""The section `upstream.observability` of the config file and its validators."""

import re
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from gateway.config.observability import LABEL_PREFIX, LONGEST_VALUE, Observability, fits

_MOST_LABELS: Final = 16
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_OBJECT_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,253}")


def _label_name(text: str) -> str:
    name = text.removeprefix(LABEL_PREFIX)
    if not _NAME.fullmatch(name):
        raise ValueError("is not the name of a label; write 1 to 64 letters, digits, dots, hyphens or underscores")
    return name


def _label_value(text: str) -> str:
    if not text or text != text.strip() or any(not fits(letter) for letter in text):
        raise ValueError("is not the value of a label; write ASCII characters without commas and equals signs")
    if len(text) > LONGEST_VALUE:
        raise ValueError(f"is too long for the value of a label; write at most {LONGEST_VALUE} characters")
    return text


def _object_name(text: str) -> str:
    if not _OBJECT_NAME.fullmatch(text):
        raise ValueError("is not the name of an object store secret; write letters, digits, dots, hyphens, underscores")
    return text


_LabelName = Annotated[str, AfterValidator(_label_name)]
_LabelValue = Annotated[str, AfterValidator(_label_value)]
_ObjectName = Annotated[str, AfterValidator(_object_name)]


class ObservabilitySection(BaseModel):
    """What SAP AI Core itself records of each request, a feature of its extended plan."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)

    labels: Annotated[dict[_LabelName, _LabelValue], Field(max_length=_MOST_LABELS)] = Field(default_factory=dict)
    """Labels that SAP AI Core records with each request, at most 16. They are sent with the prefix ext.ai.sap.com/."""
    caller_label: _LabelName | None = None
    """The name of a further label. Its value is the name of the caller, as in the proxy's log."""
    persistence_mode: Literal["full", "metadata"] | None = None
    """What SAP AI Core stores of each request: "full" with prompts and answers, or "metadata" without them."""
    object_store_secret: _ObjectName | None = None
    """The name of the object store secret that SAP AI Core uses to store its records. It is in the resource group."""

    @model_validator(mode="after")
    def _has_room_for_the_caller(self) -> Self:
        if self.caller_label in self.labels:
            raise ValueError(f"has the label {self.caller_label} twice; take it out of labels, or rename caller_label")
        if self.caller_label is not None and len(self.labels) >= _MOST_LABELS:
            raise ValueError(f"has {_MOST_LABELS} labels and caller_label, which is one too many; remove a label")
        return self

    def resolved(self) -> Observability:
        """Return the settings as a frozen value."""
        return Observability(self.labels, self.caller_label, self.persistence_mode, self.object_store_secret)
