"""Headers with which a caller configures the observability of an inference request.

SAP documents the names of the headers, the prefix of labels and the maximum number of labels. That requests which break
these rules get a 400, and which characters a label may have, are guesses.
"""

import re
from typing import Final

from werkzeug.datastructures import Headers

LABELS: Final = "ai-inference-observability-labels"
PERSISTENCE: Final = "ai-inference-observability-persistence-mode"
STORE: Final = "ai-object-store-secret-name"
_MOST: Final = 16
_LABEL: Final = re.compile(r"(ext\.ai\.sap\.com/[A-Za-z0-9_.-]+)=([!-+\--<>-~](?:[ -+\--<>-~]*[!-+\--<>-~])?)")
_MODES: Final = frozenset({"full", "metadata"})
_OBJECT_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,253}")


def mistake_in(headers: Headers) -> str | None:
    """Return what is wrong with the observability headers of a request, or None."""
    mode, store, labels = (headers.get(name) for name in (PERSISTENCE, STORE, LABELS))
    if mode is not None and mode not in _MODES:
        return f"Header {PERSISTENCE} must be full or metadata"
    if store is not None and not _OBJECT_NAME.fullmatch(store):
        return f"Header {STORE} is not the name of a secret"
    if labels is None:
        return None
    read = [_LABEL.fullmatch(each.strip()) for each in labels.split(",")]
    names = [each[1] for each in read if each is not None]
    if len(names) < len(read):
        return f"Header {LABELS} must hold labels of the form ext.ai.sap.com/name=value"
    if len(read) > _MOST:
        return f"Header {LABELS} holds more than {_MOST} labels"
    return f"Header {LABELS} holds a label twice" if len(set(names)) < len(names) else None
