"""`python -m channelsync.web.openapi`: prints the OpenAPI document that docs/openapi.json holds."""

from __future__ import annotations

import sys

from channelsync.web.api.description import describe, written
from channelsync.web.api.routes import ENDPOINTS


def document() -> bytes:
    """The document, as it stands in the file."""
    return written(describe(ENDPOINTS))


if __name__ == "__main__":
    sys.stdout.buffer.write(document())
