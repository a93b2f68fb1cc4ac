"""Standard-Webhooks signatures: what passes, and that nothing else does."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from channelsync.sdk.webhooks import TOLERANCE, Signed, StandardWebhooks

NOW = datetime(2017, 12, 23, 8, 15, tzinfo=UTC)
KEY = bytes(range(1, 25))
NEXT_KEY = bytes(range(101, 125))
BODY = b'{"type": "order.created"}'


def spelled(key: bytes) -> SecretStr:
    """A secret as it is handed out."""
    return SecretStr("whsec_" + base64.b64encode(key).decode())


def signature(key: bytes, event: str, stamp: str, body: bytes) -> str:
    """By the letter of the specification: base64 of HMAC-SHA256 over id.timestamp.body."""
    signed = hmac.new(key, f"{event}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(signed).decode()


def headers(key: bytes = KEY, *, at: datetime = NOW, event: str = "msg-1", body: bytes = BODY) -> dict[str, str]:
    stamp = str(int(at.timestamp()))
    return {
        "webhook-id": event,
        "webhook-timestamp": stamp,
        "webhook-signature": signature(key, event, stamp, body),
    }


SCHEME = StandardWebhooks([spelled(KEY)])


def test_a_genuine_delivery_passes_and_says_its_id_and_time() -> None:
    assert SCHEME.verified(headers(), BODY, NOW) == Signed("msg-1", NOW)


def test_the_vector_of_the_specification_passes() -> None:
    scheme = StandardWebhooks([SecretStr("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")])
    body = b'{"test": 2432232314}'
    sent = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert scheme.verified(sent, body, datetime(2021, 2, 25, 15, 2, 10, tzinfo=UTC)) is not None


@pytest.mark.fault(12, "both secrets hold while one replaces the other")
def test_while_secrets_are_changed_either_of_them_passes() -> None:
    both = StandardWebhooks([spelled(KEY), spelled(NEXT_KEY)])
    for key in (KEY, NEXT_KEY):
        assert both.verified(headers(key), BODY, NOW) is not None
    assert SCHEME.verified(headers(NEXT_KEY), BODY, NOW) is None


def test_one_valid_signature_of_several_is_enough() -> None:
    sent = headers()
    sent["webhook-signature"] = f"v1a,x v1,AAAA {headers(NEXT_KEY)['webhook-signature']} {sent['webhook-signature']}"
    assert SCHEME.verified(sent, BODY, NOW) is not None


def test_only_so_many_signatures_are_tried() -> None:
    sent = headers()
    sent["webhook-signature"] = "v1,AAAA " * 100 + sent["webhook-signature"]
    assert SCHEME.verified(sent, BODY, NOW) is None


def test_another_version_with_the_right_signature_is_refused() -> None:
    sent = headers()
    sent["webhook-signature"] = sent["webhook-signature"].replace("v1,", "v2,")
    assert SCHEME.verified(sent, BODY, NOW) is None


@pytest.mark.fault(10, "refused beyond the tolerance of its signed time")
@pytest.mark.parametrize("off", [TOLERANCE, -TOLERANCE])
def test_a_delivery_within_the_tolerance_passes_and_one_beyond_it_does_not(off: timedelta) -> None:
    second = timedelta(seconds=1) if off > timedelta(0) else -timedelta(seconds=1)
    assert SCHEME.verified(headers(at=NOW + off), BODY, NOW) is not None
    assert SCHEME.verified(headers(at=NOW + off + second), BODY, NOW) is None


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.fault(8, "without one of its headers it is a forgery")
def test_a_delivery_without_one_of_its_headers_is_refused(missing: str) -> None:
    sent = headers()
    del sent[missing]
    assert SCHEME.verified(sent, BODY, NOW) is None
    assert SCHEME.verified(sent | {missing: ""}, BODY, NOW) is None


def test_what_is_signed_cannot_be_moved_between_id_time_and_body() -> None:
    stamp = str(int(NOW.timestamp()))
    sent = {"webhook-id": "msg", "webhook-timestamp": stamp, "webhook-signature": signature(KEY, "msg", stamp, b"a.b")}
    assert SCHEME.verified(sent, b"a.b", NOW) is not None
    assert SCHEME.verified(sent | {"webhook-id": f"msg.{stamp}"}, b"b", NOW) is None


@pytest.mark.fault(9, "every changed byte makes it a forgery")
def test_every_changed_byte_of_the_body_is_noticed() -> None:
    sent = headers()
    for place in range(len(BODY)):
        changed = BODY[:place] + bytes([BODY[place] ^ 1]) + BODY[place + 1 :]
        assert SCHEME.verified(sent, changed, NOW) is None


@pytest.mark.parametrize(
    "text", ["v1,", "v1,===", "v1,!", "v1,é", "v1,\ud800", "v1", ",", " ", "v1,AAAA=A", "\x00", "v1," + "A" * 100_000]
)
@pytest.mark.fault(8, "a signature that is no base64 is a refusal and never an error")
def test_a_malformed_signature_is_a_refusal_and_never_an_exception(text: str) -> None:
    assert SCHEME.verified(headers() | {"webhook-signature": text}, BODY, NOW) is None


@given(
    sent=st.dictionaries(st.sampled_from(["webhook-id", "Webhook-Timestamp", "WEBHOOK-SIGNATURE"]), st.text()),
    body=st.binary(),
)
def test_nothing_that_comes_in_raises_or_passes_by_chance(sent: dict[str, str], body: bytes) -> None:
    assert SCHEME.verified(sent, body, NOW) is None


@given(stamp=st.text(alphabet="0123456789٣²-+._e ", max_size=40))
def test_a_signed_time_that_is_no_time_is_refused(stamp: str) -> None:
    sent = {"webhook-id": "m", "webhook-timestamp": stamp, "webhook-signature": signature(KEY, "m", stamp, BODY)}
    assert SCHEME.verified(sent, BODY, NOW) is None


@pytest.mark.parametrize("secrets", [[], [SecretStr("")], [SecretStr("whsec_")], [spelled(KEY), SecretStr("")]])
def test_an_empty_secret_is_refused_at_once(secrets: list[SecretStr]) -> None:
    with pytest.raises(ValueError, match="anybody could sign"):
        StandardWebhooks(secrets)


@pytest.mark.parametrize("text", ["whsec_what a secret", "whsec_é", "whsec_AAA"])
def test_a_secret_that_is_not_base64_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match="not base64") as caught:
        StandardWebhooks([SecretStr(text)])
    assert text.removeprefix("whsec_") not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_channel_may_name_its_headers_otherwise() -> None:
    scheme = StandardWebhooks([spelled(KEY)], prefix="svix-")
    sent = {name.replace("webhook-", "Svix-"): value for name, value in headers().items()}
    assert scheme.verified(sent, BODY, NOW) is not None
    assert scheme.verified(headers(), BODY, NOW) is None
