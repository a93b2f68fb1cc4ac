"""Posting to addresses that somebody chose: only where the address is allowed to lead, in time, and without a detour.

A name is looked up once, every address that it has must be allowed, and the connection goes to one of those: a name
that says something else a moment later leads nowhere new. Redirects are not followed, proxies of the environment not
used, and of the answer only the status counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import anyio
import httpx

from channelsync.sdk.tls import trusted

SECONDS_MAX = 15.0
"""For all of it: looking up, connecting, sending, and hearing the status."""

_ANSWER_BYTES_MAX = 65_536
_READ_OFF_SECONDS = 2.0
_PORTS = {"https": 443, "http": 80}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class AddressRefused(Exception):
    """An address may not be sent to; the message says why."""


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of it. status: of the answer; None: none was heard. problem: why not, in words; empty: it was."""

    status: int | None
    problem: str = ""


class Outbound:
    """Posts to one address. An async context manager. Raises ValueError for an address that `parsed` refuses.

    resolve: the addresses that a name has; the system's own where none is given. allow_private: the address may be
    inside a network that the public has no way into. transport: tests give their own.
    """

    def __init__(
        self,
        url: str,
        *,
        allow_private: bool = False,
        resolve: Resolve | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._url = parsed(url)
        self._allow_private = allow_private
        self._resolve = resolve or look_up
        # One for each address: a connection is kept by the machine it leads to, and must not serve another name there.
        self._transport = transport or httpx.AsyncHTTPTransport(verify=trusted(), trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes kept connections."""
        await self._transport.aclose()

    async def post(self, content: bytes, headers: Mapping[str, str]) -> Posted:
        """Posts once. Never raises for what the other side, or the way there, does."""
        try:
            # Not asyncio's: what is closed beside this request, httpcore shields from anyio's cancellation alone.
            with anyio.fail_after(SECONDS_MAX):
                address = await self._allowed()
                return Posted(await self._sent(address, content, headers))
        except AddressRefused as error:
            return Posted(None, str(error))
        except TimeoutError:
            return Posted(None, f"no answer within {SECONDS_MAX:g} seconds")
        except (httpx.HTTPError, httpx.StreamError, OSError, UnicodeError) as error:
            return Posted(None, f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)

    async def _allowed(self) -> str:
        """An address to connect to. Raises AddressRefused, and OSError where the name has none."""
        host = self._url.host
        found = await self._resolve(host, self._url.port or _PORTS[self._url.scheme])
        if not found:
            raise AddressRefused(f"{host} has no address")
        for address in found:
            if why := why_refused(address, allow_private=self._allow_private):
                raise AddressRefused(f"{host} leads to {address}, {why}")
        return found[0]

    async def _sent(self, address: str, content: bytes, headers: Mapping[str, str]) -> int:
        waits = dict.fromkeys(("connect", "pool", "read", "write"), SECONDS_MAX)
        request = httpx.Request(
            "POST",
            self._url.copy_with(host=address),
            headers={**headers, "Host": self._url.netloc.decode()},
            content=content,
            # The certificate must be the name's, although the connection goes to a number.
            extensions={"timeout": waits, "sni_hostname": self._url.host},
        )
        response = await self._transport.handle_async_request(request)
        try:
            # The status is heard; what becomes of the rest matters to nobody.
            with contextlib.suppress(httpx.HTTPError, httpx.StreamError, TimeoutError):
                with anyio.fail_after(_READ_OFF_SECONDS):
                    await _read_off(response)
        finally:
            await response.aclose()
        return response.status_code


async def _read_off(response: httpx.Response) -> None:
    """Reads a short answer to its end, so that the connection can be used again; a long one is cut off."""
    read = 0
    async for part in response.aiter_raw():
        read += len(part)
        if read > _ANSWER_BYTES_MAX:
            return


def parsed(url: str) -> httpx.URL:
    """An address in its parts. Raises ValueError where no machine can have its host name, or it has no port."""
    try:
        address = httpx.URL(url)
        address.host.encode("idna")  # as the system's own look-up writes it
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ValueError("this is no address that can be called: its host name or its port is wrong") from error
    return address


def why_refused(address: str, *, allow_private: bool) -> str:
    """Why an address may not be sent to; empty: it may."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if found.is_multicast or found.is_unspecified:
        return "which is no address of one machine"
    if allow_private:
        return ""
    if isinstance(found, ipaddress.IPv6Address):
        inside = found.ipv4_mapped or found.sixtofour
        if found.teredo is not None or found in _NAT64:
            return "which wraps another address"
        if inside is not None:
            return why_refused(str(inside), allow_private=False)
    return "" if found.is_global else "which is not public; set `allow_private` if it is meant"


async def look_up(host: str, port: int) -> list[str]:
    """The addresses that the system knows for a name. Raises OSError, and UnicodeError for what can be no name."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
