"""How a request over HTTP shows who we are. A folder asks nobody; an SFTP server is told by its own client."""

from __future__ import annotations

import base64

from pydantic import SecretStr

from channelsync_files.settings import FilesSettings


def authorization(settings: FilesSettings) -> SecretStr | None:
    """What every request carries; None where the place asks for nothing."""
    if settings.token is not None:
        return SecretStr(f"Bearer {settings.token.get_secret_value()}")
    if settings.username is not None and settings.password is not None:
        pair = f"{settings.username}:{settings.password.get_secret_value()}".encode()
        return SecretStr(f"Basic {base64.b64encode(pair).decode()}")
    return None
