"""The faults of connections to SAP AI Core. Callers see their messages, so no message names a host."""

from typing import Final

from dialects.core.faults import Fault, FaultKind

UNREACHABLE: Final = Fault(FaultKind.UNREACHABLE, "SAP AI Core could not be reached.")
NO_CONNECTION_IN_TIME: Final = Fault(FaultKind.TIMEOUT, "The connection to SAP AI Core timed out.")
NO_ANSWER_IN_TIME: Final = Fault(FaultKind.TIMEOUT, "SAP AI Core did not answer in time.")
BROKEN: Final = Fault(FaultKind.STREAM_BROKEN, "The response of SAP AI Core ended early.")
TOO_MUCH: Final = Fault(FaultKind.STREAM_BROKEN, "The response of SAP AI Core is larger than this proxy accepts.")
REDIRECT: Final = Fault(FaultKind.SERVER_ERROR, "SAP AI Core answered with a redirect, which is not followed.")
