"""A signature comes home, and goes nowhere else."""

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dialects.adapt.signatures import pack, unpack
from dialects.core.conversation import Family

families = st.sampled_from(Family)
signatures = st.text(max_size=20)
PACKED = pack("EqoB+/==", Family.GEMINI, Family.CLAUDE)


@given(signatures, families, families)
@example(PACKED, Family.CLAUDE, Family.CLAUDE)
@example("", Family.GEMINI, Family.CLAUDE)
@example("\ud800", Family.GEMINI, Family.CLAUDE)
def test_what_is_packed_comes_back(signature, family, native):
    assert (family, signature) == unpack(pack(signature, family, native), native)


@given(signatures, families)
def test_a_clients_own_signature_is_verbatim(signature, native):
    assert signature == pack(signature, native, native)
    assert signature == pack(signature, None, native)


def test_nobodys_signature_that_looks_wrapped_is_the_clients_own():
    packed = pack(PACKED, None, Family.CLAUDE)

    assert packed != PACKED
    assert unpack(packed, Family.CLAUDE) == (Family.CLAUDE, PACKED)


@given(signatures, families)
def test_a_wrapped_signature_survives_a_client_that_decodes_it(signature, native):
    """google-genai turns base64 into bytes, and bytes into url-safe base64."""
    family = next(other for other in Family if other is not native)
    packed = pack(signature, family, native)
    again = base64.urlsafe_b64encode(base64.b64decode(packed, validate=True)).decode()

    assert (family, signature) == unpack(again, native)
    assert (family, signature) == unpack(again.rstrip("="), native)


@pytest.mark.parametrize("rest", ["", "!", "AAAA", "/////w==", base64.b64encode(b"nobody:x").decode()])
def test_a_damaged_wrapping_is_left_as_it_is(rest):
    damaged = base64.b64encode(b"foreign-signature:").decode() + rest

    assert unpack(damaged, Family.CLAUDE) == (Family.CLAUDE, damaged)
