"""What goes wrong between a client's words and a model's: whose fault it is."""

from dataclasses import replace

from dialects.core.faults import NONSENSE, UNREADABLE, FaultError


class unreadable_as_fault:  # noqa: N801 - used as a function is
    """Within, an answer is understood; one that makes no sense raises `FaultError`."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, UNREADABLE):
            raise FaultError(NONSENSE) from error


class unwritable_as_unasked:  # noqa: N801 - used as a function is
    """Within, a request is written for an endpoint; where it cannot be, that one is not asked, and another may be."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, FaultError):
            raise FaultError(replace(error.fault, unasked=True)) from error
