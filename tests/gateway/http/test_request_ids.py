"""What a request is called: by its sender, or by the proxy."""

import pytest

from gateway.http.request_ids import passed_on, request_id, trace_id

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize("given", ["r", "req_1/2-x.y:z", "~" * 128])
def test_an_id_that_fits_a_line_of_the_log_is_kept(given: str) -> None:
    assert request_id({"x-request-id": given}, "new") == given


@pytest.mark.parametrize("given", ["", "a b", "a\tb", "a\nb", "é", "\x7f", "~" * 129])
def test_an_id_that_would_break_a_line_or_fill_it_is_replaced(given: str) -> None:
    assert request_id({"x-request-id": given}, "new") == "new"


def test_a_request_without_an_id_gets_one() -> None:
    assert request_id({}, "new") == "new"


@pytest.mark.parametrize(
    "given", [f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00", f"01-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-more"]
)
def test_a_valid_traceparent_is_passed_on_and_names_the_trace(given: str) -> None:
    headers = {"traceparent": given, "other": "x"}

    assert trace_id(headers) == TRACE
    assert passed_on(headers, "r", TRACE) == {"x-request-id": "r", "traceparent": given}


@pytest.mark.parametrize(
    "given",
    [
        "",
        TRACE,
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"01-{TRACE}-{SPAN}-01more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01 ",
        f"cc-{TRACE}-{SPAN}-01-{'x' * 201}",
    ],
)
def test_a_traceparent_that_w3c_does_not_know_goes_nowhere(given: str) -> None:
    headers = {"traceparent": given}

    assert trace_id(headers) == ""
    assert passed_on(headers, "r", "") == {"x-request-id": "r"}
