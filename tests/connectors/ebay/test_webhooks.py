"""Deliveries: which are genuine, what they hint at, what a challenge is answered with."""

import base64
import hashlib
import json
from contextlib import suppress
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from channelsync.sdk.contract import CANARY
from channelsync.sdk.errors import TryLater
from channelsync.sdk.values import QuantityKey
from channelsync.sdk.webhooks import TOO_LATE, Harmless, WebhookHint
from channelsync_ebay import CONNECTOR

KID = "9936261a-7d7b-4621-a0f1-96ccb428af48"
PATH = f"/commerce/notification/v1/public_key/{KID}$"
EBAYS, FORGERS = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
TOLD = {
    "metadata": {"topic": "ORDER_CONFIRMATION", "schemaVersion": "1.0", "deprecated": False},
    "notification": {
        "notificationId": "49feeaeb-4982-42d9-a377-9645b8479411_33f7e043",
        "eventDate": "2017-06-01T08:59:00.000Z",
        "publishDate": "2017-06-01T08:59:30.000Z",
        "publishAttemptCount": 1,
        "data": {"order": {"orderId": "12-34567-89012", "buyer": {"username": CANARY[0]}}, "sku": "MUG-BLUE"},
    },
}


def body_of(told: Any = TOLD) -> bytes:
    return json.dumps(told, separators=(",", ":")).encode()


def signed(body: bytes, key: Any = EBAYS, digest: Any = hashes.SHA1, kid: str = KID, **more: Any) -> dict[str, str]:
    signature = base64.b64encode(key.sign(body, ec.ECDSA(digest()))).decode()
    header = {"alg": "ecdsa", "kid": kid, "signature": signature, "digest": "SHA1", **more}
    return {
        "X-EBAY-SIGNATURE": base64.b64encode(json.dumps(header).encode()).decode(),
        "Content-Type": "application/json",
    }


def pem(key: Any = EBAYS) -> str:
    """As eBay writes it: no line breaks."""
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"-----BEGIN PUBLIC KEY-----{base64.b64encode(der).decode()}-----END PUBLIC KEY-----"


def key_answer(key: Any = EBAYS, digest: str = "SHA1") -> dict[str, str]:
    return {"key": pem(key), "algorithm": "ECDSA", "digest": digest}


@pytest.fixture(autouse=True)
def _key(ebay) -> None:
    ebay.on("GET", "/public_key/", httpx.Response(404, json={"errors": [{"errorId": 195001}]}))
    ebay.on("GET", PATH, key_answer())


@pytest.fixture
def scheme(settings, resources):
    return CONNECTOR.webhooks(settings, resources)


async def test_a_genuine_delivery_hints_at_orders_and_numbers(scheme, clock) -> None:
    body = body_of()
    hint = await scheme.verify(signed(body), body, clock.now())
    assert isinstance(hint, WebhookHint)
    assert (hint.topic, hint.event) == ("ORDER_CONFIRMATION", "49feeaeb-4982-42d9-a377-9645b8479411_33f7e043")
    assert (hint.orders, hint.keys) == (("12-34567-89012",), (QuantityKey("MUG-BLUE"),))
    assert clock.now() - hint.sent_at == timedelta(seconds=30)
    assert not [text for text in CANARY if text in repr(hint)]


@pytest.mark.parametrize("spelled", [str.lower, str.upper, str.title])
async def test_the_header_s_name_is_matched_in_any_case(scheme, clock, spelled) -> None:
    body = body_of()
    headers = {spelled(name): value for name, value in signed(body).items()}
    assert await scheme.verify(headers, body, clock.now()) is not None


@pytest.mark.parametrize(
    ("digest", "told"),
    [(hashes.SHA1, "SHA1"), (hashes.SHA256, "SHA256"), (hashes.SHA256, "sha-256"), (hashes.SHA1, "")],
)
async def test_the_key_says_what_is_hashed(scheme, clock, ebay, digest, told) -> None:
    ebay.on("GET", PATH, key_answer(digest=told))
    body = body_of()
    assert await scheme.verify(signed(body, digest=digest), body, clock.now()) is not None


def _header(text: str | bytes) -> dict[str, str]:
    raw = text.encode() if isinstance(text, str) else text
    return {"X-EBAY-SIGNATURE": base64.b64encode(raw).decode()}


def _with(**more: Any) -> dict[str, str]:
    return signed(body_of(), **more)


GENUINE = body_of()
FORGERIES: dict[str, tuple[dict[str, str], bytes]] = {
    "no header": ({}, GENUINE),
    "an empty header": ({"X-EBAY-SIGNATURE": ""}, GENUINE),
    "not base64": ({"X-EBAY-SIGNATURE": "!!!"}, GENUINE),
    "not ascii": ({"X-EBAY-SIGNATURE": "\u00e9\u00e9"}, GENUINE),
    "a null byte": ({"X-EBAY-SIGNATURE": "\x00"}, GENUINE),
    "not JSON": (_header("nonsense"), GENUINE),
    "JSON that is no object": (_header("[1,2]"), GENUINE),
    "a number": (_header("7"), GENUINE),
    "null": (_header("null"), GENUINE),
    "an empty object": (_header("{}"), GENUINE),
    "no key": (_header('{"alg":"ecdsa","signature":"AAAA"}'), GENUINE),
    "no signature": (_header(json.dumps({"alg": "ecdsa", "kid": KID})), GENUINE),
    "a signature that is no text": (_header(json.dumps({"kid": KID, "signature": 7})), GENUINE),
    "a signature that is not base64": (_header(json.dumps({"kid": KID, "signature": "!!"})), GENUINE),
    "an empty signature": (_header(json.dumps({"kid": KID, "signature": ""})), GENUINE),
    "a signature of zeroes": (_header(json.dumps({"kid": KID, "signature": "A" * 96})), GENUINE),
    "a very long header": (_header("x" * 5000), GENUINE),
    "deep JSON": (_header("[" * 1000), GENUINE),
    "another algorithm": (_with(alg="none"), GENUINE),
    "HMAC with the public key": (_with(alg="HS256"), GENUINE),
    "an unknown key": (_with(kid="00000000-0000-0000-0000-000000000000"), GENUINE),
    "a key's id that is a path": (_with(kid="../../../sell/inventory/v1/offer"), GENUINE),
    "a key's id that is empty": (_with(kid=""), GENUINE),
    "a key's id with a line break": (_with(kid=KID + "\n"), GENUINE),
    "signed by somebody else": (signed(GENUINE, FORGERS), GENUINE),
    "hashed another way": (signed(GENUINE, digest=hashes.SHA256), GENUINE),
    "another body": (signed(GENUINE), body_of(TOLD | {"metadata": {"topic": "X"}})),
    "one bit of the body": (signed(GENUINE), GENUINE[:40] + bytes([GENUINE[40] ^ 1]) + GENUINE[41:]),
    "a space at the end": (signed(GENUINE), GENUINE + b" "),
    "no body": (signed(GENUINE), b""),
    "half of the body": (signed(GENUINE), GENUINE[: len(GENUINE) // 2]),
    "the body twice": (signed(GENUINE), GENUINE * 2),
    "the signature of another body": (signed(b"{}"), GENUINE),
}


@pytest.mark.parametrize("which", list(FORGERIES))
async def test_a_forgery_is_nothing(scheme, clock, which: str) -> None:
    headers, body = FORGERIES[which]
    assert await scheme.verify(headers, body, clock.now()) is None


def test_there_are_thirty_forgeries() -> None:
    assert len(FORGERIES) >= 30


@pytest.mark.parametrize("off", [timedelta(days=1), timedelta(hours=13)])
async def test_a_delivery_that_comes_too_late_is_answered_and_hints_at_nothing(scheme, clock, off) -> None:
    body = body_of()
    assert await scheme.verify(signed(body), body, clock.now() + off) is TOO_LATE


@pytest.mark.parametrize("off", [-timedelta(minutes=6), -timedelta(days=1)])
async def test_a_delivery_from_the_future_is_nothing(scheme, clock, off) -> None:
    body = body_of()
    assert await scheme.verify(signed(body), body, clock.now() + off) is None


@pytest.mark.parametrize("off", [timedelta(hours=11), -timedelta(minutes=4)])
async def test_a_late_delivery_is_taken(scheme, clock, off) -> None:
    body = body_of()
    assert await scheme.verify(signed(body), body, clock.now() + off) is not None


@pytest.mark.parametrize("body", [b"nonsense", b"{}", b"[]", b'{"metadata":{}}'])
async def test_what_is_signed_but_cannot_be_read_hints_that_something_is_new(scheme, clock, body: bytes) -> None:
    hint = await scheme.verify(signed(body), body, clock.now())
    assert isinstance(hint, WebhookHint)
    assert (hint.orders, hint.keys, hint.event) == ((), (), hashlib.sha256(body).hexdigest())


@pytest.mark.parametrize(
    "data",
    [
        None,
        7,
        "text",
        [],
        {"orderId": 7},
        {"orderId": CANARY[0]},
        {"sku": " " * 60},
        {"a": {"b": {"c": {"d": {"e": {"f": {"orderId": "1-2"}}}}}}},
    ],
)
async def test_data_that_names_nothing_of_ours_names_nothing(scheme, clock, data) -> None:
    body = body_of(TOLD | {"notification": TOLD["notification"] | {"data": data}})
    hint = await scheme.verify(signed(body), body, clock.now())
    assert isinstance(hint, WebhookHint)
    assert (hint.orders, hint.keys) == ((), ())
    assert not [text for text in CANARY if text in repr(hint)]


async def test_a_repeat_of_ebays_has_a_name_of_its_own_because_it_has_another_body(scheme, clock) -> None:
    async def event(attempt: Any, second: int) -> str:
        notice = TOLD["notification"] | {
            "publishAttemptCount": attempt,
            "publishDate": f"2017-06-01T08:59:{second}.000Z",
        }
        body = body_of(TOLD | {"notification": notice})
        hint = await scheme.verify(signed(body), body, clock.now())
        assert isinstance(hint, WebhookHint)
        assert hint.orders == ("12-34567-89012",)
        return hint.event

    first, second, third = [await event(attempt, 30 + attempt) for attempt in (1, 2, 3)]
    assert first == TOLD["notification"]["notificationId"]
    assert len({first, second, third}) == 3, "the inbox would keep it aside as one that contradicts the first"
    assert await event(2, 32) == second
    assert [await event(odd, 40) for odd in (None, "2", True, 0, -1)] == [first] * 5


async def test_an_event_without_an_id_is_called_by_its_body(scheme, clock) -> None:
    body = body_of(TOLD | {"notification": TOLD["notification"] | {"notificationId": CANARY[0]}})
    hint = await scheme.verify(signed(body), body, clock.now())
    assert hint.event == hashlib.sha256(body).hexdigest()


async def test_being_asked_to_forget_a_user_changes_nothing(scheme, clock) -> None:
    body = body_of(TOLD | {"metadata": {"topic": "MARKETPLACE_ACCOUNT_DELETION"}})
    assert isinstance(await scheme.verify(signed(body), body, clock.now()), Harmless)


class TestKeys:
    async def test_a_key_is_asked_for_once_a_day(self, scheme, clock, ebay) -> None:
        body = body_of()
        for _ in range(3):
            await scheme.verify(signed(body), body, clock.now())
        assert len(ebay.of("/public_key/")) == 1
        await clock.sleep(24 * 3600)
        await scheme.verify(signed(body), body, clock.now())
        assert len(ebay.of("/public_key/")) == 2

    async def test_it_is_asked_for_as_the_application(self, scheme, clock, ebay) -> None:
        body = body_of()
        await scheme.verify(signed(body), body, clock.now())
        assert b"client_credentials" in ebay.of("/oauth2/token")[0].content

    async def test_a_key_that_ebay_does_not_have_is_not_asked_for_again_at_once(self, scheme, clock, ebay) -> None:
        headers, body = FORGERIES["an unknown key"]
        for _ in range(3):
            await scheme.verify(headers, body, clock.now())
        assert len(ebay.of("/public_key/")) == 1

    async def test_a_forger_with_ever_new_keys_does_not_make_us_ask_without_end(self, scheme, clock, ebay) -> None:
        body = body_of()
        for number in range(30):
            assert await scheme.verify(signed(body, kid=f"forged-{number:04}"), body, clock.now()) is None
        with pytest.raises(TryLater, match="unknown keys"):
            await scheme.verify(signed(body, kid="forged-once-more"), body, clock.now())
        assert len(ebay.of("/public_key/")) == 30
        await clock.sleep(3600)
        assert await scheme.verify(signed(body), body, clock.now() - timedelta(hours=1)) is not None

    async def test_a_key_that_was_good_is_kept_and_renewed_whatever_forgers_name(self, scheme, clock, ebay) -> None:
        body = body_of()
        assert await scheme.verify(signed(body), body, clock.now()) is not None
        for number in range(400):
            assert await scheme.verify(signed(body, kid=f"forged-{number:04}"), body, clock.now()) is None
            await clock.sleep(125)
        began = len(ebay.of(KID))
        late = body_of(TOLD | {"notification": TOLD["notification"] | {"publishDate": clock.now().isoformat()}})
        for number in range(400, 430):
            with suppress(TryLater):
                await scheme.verify(signed(body, kid=f"forged-{number:04}"), body, clock.now())
        assert await scheme.verify(signed(late), late, clock.now()) is not None
        assert (began, len(ebay.of(KID))) == (1, 1), "400 ids of forgers have not driven it out"
        await clock.sleep(24 * 3600 - 400 * 125)
        for number in range(430, 460):
            with suppress(TryLater):
                await scheme.verify(signed(body, kid=f"forged-{number:04}"), body, clock.now())
        late = body_of(TOLD | {"notification": TOLD["notification"] | {"publishDate": clock.now().isoformat()}})
        assert await scheme.verify(signed(late), late, clock.now()) is not None
        assert len(ebay.of(KID)) == 2

    @pytest.mark.parametrize(
        "answer", [httpx.Response(503), httpx.Response(200, json={}), httpx.Response(403), httpx.ReadTimeout("x")]
    )
    async def test_a_key_that_cannot_be_had_is_tried_later(self, scheme, clock, ebay, answer) -> None:
        ebay.on("GET", PATH, answer)
        body = body_of()
        with pytest.raises(TryLater):
            await scheme.verify(signed(body), body, clock.now())
        ebay.on("GET", PATH, key_answer())
        assert await scheme.verify(signed(body), body, clock.now()) is not None

    @pytest.mark.parametrize(
        "answer",
        [
            {"key": "nonsense"},
            {"key": "-----BEGIN PUBLIC KEY-----AAAA-----END PUBLIC KEY-----"},
            {"key": pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))},
            key_answer(digest="MD5"),
        ],
    )
    async def test_a_key_that_is_none_of_ebay_s_kind_verifies_nothing(self, scheme, clock, ebay, answer) -> None:
        ebay.on("GET", PATH, answer)
        body = body_of()
        assert await scheme.verify(signed(body), body, clock.now()) is None


class TestChallenge:
    ADDRESS = "https://seller.example/hooks/my-ebay"

    def test_it_is_answered_with_code_token_and_address(self, scheme, settings) -> None:
        token = settings.verification_token.get_secret_value()
        right = hashlib.sha256(f"a-code{token}{self.ADDRESS}".encode()).hexdigest()
        answer = scheme.answer({"challenge_code": "a-code"}, self.ADDRESS)
        assert json.loads(answer) == {"challengeResponse": right}
        assert token not in answer.decode()

    @pytest.mark.parametrize("query", [{}, {"challenge_code": ""}, {"code": "x"}, {"challenge_code": "x" * 5000}])
    def test_anything_else_is_no_challenge(self, scheme, query) -> None:
        assert scheme.answer(query, self.ADDRESS) is None


def test_without_a_verification_token_there_is_no_scheme(settings, resources) -> None:
    assert CONNECTOR.webhooks(settings.model_copy(update={"verification_token": None}), resources) is None
