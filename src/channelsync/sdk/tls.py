"""Whom we trust when we connect to others."""

from __future__ import annotations

import functools
import ssl

import httpx


@functools.cache
def trusted() -> ssl.SSLContext:
    """The authorities of this machine; reading them takes long enough to do it once for all connections."""
    return httpx.create_ssl_context()
