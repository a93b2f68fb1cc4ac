"""Secrets stay out of what we write."""

import base64
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from channelsync.sdk.redaction import HIDDEN, KnownSecrets, redact_text, redact_url

CANARY = "s3cr3t/+ =canary"
SECRETS = [SecretStr(CANARY)]
words = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=4).filter(lambda w: w not in HIDDEN)


@pytest.mark.parametrize(
    "name",
    ["access_token", "api_key", "apikey", "key", "AWSAccessKeyId", "sig", "signature", "code", "client_secret", "hmac",
     "oauth_consumer", "password", "pwd", "Credential", "session", "X-Amz-Security-Token", "cookie"],
)  # fmt: skip
def test_a_parameter_that_is_called_like_a_secret_is_hidden(name: str) -> None:
    assert redact_url(f"https://shop.test/orders?page=2&{name}=x&day=") == (
        f"https://shop.test/orders?page=2&{name}={HIDDEN}&day="
    )


def test_user_name_password_and_fragment_of_a_url_are_dropped() -> None:
    assert redact_url("https://user:pass@shop.test:8443/orders#token") == "https://shop.test:8443/orders"


def test_a_secret_in_the_path_of_a_url_is_hidden() -> None:
    assert redact_url(f"https://shop.test/{quote(CANARY, safe='')}/orders", SECRETS) == (
        f"https://shop.test/{HIDDEN}/orders"
    )


def test_a_url_that_is_none_is_hidden_whole() -> None:
    assert redact_url("http://[half") == HIDDEN


@pytest.mark.parametrize(
    "spelling",
    [CANARY, quote(CANARY), quote_plus(CANARY), quote(CANARY, safe=""), base64.b64encode(CANARY.encode()).decode()],
)
def test_a_secret_is_hidden_however_it_is_spelt(spelling: str) -> None:
    assert redact_text(f"told <{spelling}>", SECRETS) == f"told <{HIDDEN}>"


@pytest.mark.parametrize("credential", ["Bearer abc.def-123", "bearer\tAbC=", "Basic dXNlcjpwYXNz"])
def test_a_credential_is_hidden_even_when_nobody_told_us_of_it(credential: str) -> None:
    assert HIDDEN in redact_text(f"sent {credential}")
    assert credential.split()[1] not in redact_text(f"sent {credential}")


def test_of_two_secrets_where_one_contains_the_other_no_piece_is_left() -> None:
    secrets = [SecretStr("canary"), SecretStr("canary-with-tail")]
    assert redact_text("a canary-with-tail b", secrets) == f"a {HIDDEN} b"


def test_an_empty_secret_hides_nothing() -> None:
    assert redact_text("as it was", [SecretStr("")]) == "as it was"


@given(st.text(), words, st.text())
def test_no_text_keeps_a_secret(before: str, secret: str, after: str) -> None:
    assert secret not in redact_text(before + secret + after, [SecretStr(secret)])


def test_the_token_of_a_bearer_header_is_known_by_itself() -> None:
    known = KnownSecrets()
    known.add(SecretStr("Bearer canary123"))
    known.add("plain text is no secret")
    assert known.text("canary123, plain text is no secret") == f"{HIDDEN}, plain text is no secret"


def test_configured_secrets_are_never_forgotten_and_seen_ones_only_for_newer_ones() -> None:
    known = KnownSecrets([SecretStr("configured")])
    for number in range(1000):
        known.add(SecretStr("in use all the time"))
        known.add(SecretStr(f"token{number:04}"))
        assert known.text("in use all the time") == HIDDEN
    assert known.text("configured token0999 token0000") == f"{HIDDEN} {HIDDEN} token0000"
