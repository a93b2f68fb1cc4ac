"""eBay's signatures of notifications: X-EBAY-SIGNATURE, and the challenge of an endpoint.

The header is base64 of `{"alg", "kid", "signature", "digest"}`; the signature is ECDSA (P-256) over the SHA-1 of the
body's bytes, DER in base64; the key comes from GET /public_key/{kid} as PEM on one line. So say eBay's own event
notification SDKs (github.com/eBay/event-notification-nodejs-sdk, lib/validator.js).
"""

from __future__ import annotations

import base64
import hashlib
import random
import uuid

import orjson
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HEADER = "X-EBAY-SIGNATURE"
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class SigningKey:
    """A key of eBay's. id: what the header names. pem: the public half, as getPublicKey tells it."""

    def __init__(self, rng: random.Random) -> None:
        self.id = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        self._private = ec.derive_private_key(rng.randrange(1, _ORDER), ec.SECP256R1())
        public = self._private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.pem = public.decode("ascii").replace("\n", "")

    def header(self, body: bytes) -> str:
        """The signature header of a body."""
        signature = self._private.sign(body, ec.ECDSA(hashes.SHA1()))  # noqa: S303 - eBay's choice
        told = {
            "alg": "ecdsa",
            "kid": self.id,
            "signature": base64.b64encode(signature).decode("ascii"),
            "digest": "SHA1",
        }
        return base64.b64encode(orjson.dumps(told)).decode("ascii")


def challenge_response(code: str, token: str, endpoint: str) -> str:
    """What an endpoint must answer to a challenge: the code, its verification token and its address, hashed."""
    return hashlib.sha256((code + token + endpoint).encode()).hexdigest()
