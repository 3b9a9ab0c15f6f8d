"""Foreign words as a caller may read them."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.core.redaction import LONGEST, redacted

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
BASIC = base64.b64encode(b"client:password").decode()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("see https://api.ai.prod.ml.hana.ondemand.com/v2/x.", "see …."),
        ("(http://10.1.2.3:8080/x), wss://h.example", "(…), …"),
        ("POST /v2/inference/deployments/d0/chat?x=1 HTTP/1.1, and /v2/lm/x.", "POST … HTTP/1.1, and …."),
        ("https://internal-7.provider.example/openai/x?api-key=KEY failed", "… failed"),
        (r"{\"at\": \"http:\/\/10.1.2.3\/x\"}", r"{\"at\": \"…\"}"),
        ("to http%3A%2F%2Fh.corp%2Fx now", "to … now"),
        ("dial api.ai.prod.ml.hana.ondemand.com:443/v2/inference: refused", "dial …: refused"),
        ("API.AI.ONDEMAND.COM", "…"),
        ("redis.aicore.svc.cluster.local, foo.internal, a.b.svc", "…, …, …"),
        ("localhost, localhost:8080/x and worker-3:8080/v1", "…, … and …"),
        ("model.svc/v1/deployments/d1", "…"),
        ("aicore.team/v2/inference", "…"),
        ("aicore.team:8443", "…"),
        ("user:pass@db.internal:5432", "user:pass@…"),
        ("see 172.16.3.4:8080, 10.0.0.1 and 8.8.8.8/x", "see …, … and …"),
        ("::1, fd00:ec2::254, [fe80::1%eth0]:443/x and ::ffff:10.0.0.1", "…, …, [… and …"),
        ("https://docs.example.com,http://10.1.2.3/x", "…"),
        ("https://docs.svc.cluster.local/x docs.internal", "… …"),
        ("https://user@docs.example.com/", "…"),
    ],
)
def test_addresses_are_taken_out_however_they_are_written(said: str, told: str) -> None:
    assert told == redacted(said)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Bearer TOKEN, bearer%20TOKEN, Bearer+TOKEN", "Bearer …, Bearer …, Bearer …"),
        ("Authorization=Bearer%20TOKEN", "Authorization=Bearer …"),
        ("bearer: TOKEN", "Bearer …"),
        (f"Authorization: Basic {BASIC}", "Authorization: Basic …"),
        (f"Basic%20{BASIC.replace('=', '%3D')}", "Basic …"),
        ("Authorization: AWS4-HMAC Credential=AK, Signature=ab", "Authorization: … Credential=… Signature=…"),
        (f"sent {JWT} twice {JWT}", "sent … twice …"),
        (f"half of it {JWT[:20]}", "half of it …"),
        (f"in base64 {base64.b64encode(b'Bearer TOKEN').decode()}", "in base64 …"),
        ("/x?key=SECRET&sig=SECRET&api_key=SECRET&v=1", "/x?key=…&sig=…&api_key=…&v=1"),
        ("/x?X-Amz-Security-Token=SECRET&client_secret%3DSECRET", "/x?X-Amz-Security-Token=…&client_secret%3D…"),
        ('{"api-key": "SECRET", "clientsecret":"SECRET"}', '{"api-key": "…", "clientsecret":"…"}'),
        ("x-api-key: SECRET", "x-api-key: …"),
        ("no sk-proj-0123456789abcdef, AKIA0123456789ABCDEF", "no …, …"),
    ],
)
def test_keys_and_tokens_are_taken_out_however_they_are_written(said: str, told: str) -> None:
    assert told == redacted(said)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "messages.0.content.1.text: Field required",
        "tools[0].function.parameters is no schema: key 'a' is missing",
        "max_tokens: 8193 > 8192, which is the most of claude-3.5-sonnet (gpt-4.1, v1.2.3)",
        "status_code=404 at 12:30:45 in std::vector, a:b, 1:2, line 3:40",
        "use basic authentication; Basic Authentication",
        "Unexpected token: } at 7, and the token limit is 4096",
        "see https://docs.example.com/en/api#errors or platform.openai.com/account.",
        "see https://go.microsoft.com/fwlink/?linkid=2198766.",
        "a file report.pdf of application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "google.rpc.ErrorInfo in response.failed",
    ],
)
def test_what_names_no_secret_stays_as_it_is(said: str) -> None:
    assert said == redacted(said)


def test_words_are_cut_to_2000_characters_at_the_end_of_one() -> None:
    assert redacted("x" * 9999) == "x" * LONGEST
    assert redacted("x" * 1990 + " internal-7.provider.example") == "x" * 1990


PIECES = st.sampled_from(["http://", "10.0.0.1", "bearer", "key=", "::", "eyJ", ".", "com", "a", " ", "%20", "basic"])
AROUND = st.text(max_size=50) | st.lists(PIECES, max_size=20).map("".join)
SECRETS = ["http://gateway/MINE", "h.internal/MINE", "10.1.2.3/MINE", "Bearer MINE", f"eyJMINE{JWT}", "api-key=MINE"]


@given(AROUND, st.sampled_from(SECRETS), AROUND)
def test_whatever_stands_around_it_a_secret_is_taken_out(before: str, secret: str, after: str) -> None:
    assert "MINE" not in redacted(f"{before} {secret} {after}")
