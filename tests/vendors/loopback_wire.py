"""The way to a server on loopback, for tests that open hundreds: no certificates of the world are read for it."""

from __future__ import annotations

import ssl

import httpx

_NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Loopback servers are spoken to in the clear; reading what a TLS client trusts takes as long as a test."""


def loopback_wire() -> httpx.AsyncHTTPTransport:
    """A new transport; it would refuse every server that speaks TLS."""
    return httpx.AsyncHTTPTransport(verify=_NO_CERTIFICATES)
