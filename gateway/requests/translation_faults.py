"""Context managers that convert errors of translation into faults."""

from dataclasses import replace

from dialects.core.faults import NONSENSE, UNREADABLE, FaultError


class unreadable_as_fault:  # noqa: N801 - named like a function, as it is used like one
    """Within it, an answer is parsed. An answer that cannot be parsed raises `FaultError`."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, UNREADABLE):
            raise FaultError(NONSENSE) from error


class unwritable_as_unasked:  # noqa: N801 - named like a function, as it is used like one
    """Within it, a request is rendered. A `FaultError` is marked as `unasked`, so that other endpoints are tried."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, FaultError):
            raise FaultError(replace(error.fault, unasked=True)) from error
