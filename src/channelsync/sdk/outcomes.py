"""What a failed call means, and so what the daemon does next: pure, for the transport alone.

| What happened                                              | A read raises      | A write raises     |
|------------------------------------------------------------|--------------------|--------------------|
| budget short for too long, breaker open                    | NotSent            | NotSent            |
| connection refused, no such host, TLS failure, pool full   | NotSent            | NotSent            |
| the deadline passed while still connecting                 | NotSent            | NotSent            |
| no answer in time, reset, answer cut short                 | TryLater           | OutcomeUnknown     |
| HTTP 429, 408, 425                                         | TryLater           | TryLater           |
| HTTP 5xx                                                   | TryLater           | OutcomeUnknown     |
| HTTP 401                                                   | NeedsSeller        | NeedsSeller        |
| HTTP 403                                                   | NotPermitted       | NotPermitted       |
| HTTP 3xx, other 4xx; a request that HTTP cannot express    | ChannelMisbehaved  | ChannelMisbehaved  |
| 2xx with a body that is not what was expected              | AnswerUnreadable   | AnswerUnreadable   |

All of 5xx counts as unknown for a write: proxies send 502, 503 and 504 also for requests that got through, and a
500 may come after the commit. A read more is cheap; a unit sold twice is not. No class carries a status: a caller
that can make sense of one lists it in `Call.accept` and gets the answer.
"""

import httpx

from channelsync.sdk.errors import (
    ChannelError,
    ChannelMisbehaved,
    NeedsSeller,
    NotPermitted,
    NotSent,
    OutcomeUnknown,
    TryLater,
)

_NOTHING_DONE = (408, 425, 429)
_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_CANNOT_BE_SENT = (httpx.LocalProtocolError, httpx.UnsupportedProtocol)


def error_of_status(status: int, *, write: bool, call: str, detail: str, retry_after: float | None) -> ChannelError:
    """The error for an answer that the caller did not ask for.

    `call` says whom we asked for what, `detail` what the answer says (redacted), `retry_after` is in seconds.
    """
    what = f"{call}: HTTP {status}" + (f": {detail}" if detail else "")
    if status in _NOTHING_DONE:
        return TryLater(what, retry_after=retry_after)
    if status in (401, 403):
        kind = NeedsSeller if status == 401 else NotPermitted
        problem = "does not accept our credentials" if status == 401 else "does not permit this call"
        return kind(
            f"{call}: the channel {problem} (HTTP {status}). Renew the channel's credentials, or give them the"
            f" permission that is missing." + (f" It says: {detail}" if detail else "")
        )
    if status >= 500 and write:
        return OutcomeUnknown(what, retry_after=retry_after)
    if status >= 500:
        return TryLater(what, retry_after=retry_after)
    if 300 <= status < 400:
        return ChannelMisbehaved(f"{what}; redirects are not followed, so set the channel's address to the new one")
    return ChannelMisbehaved(what)


def error_of_failure(error: Exception, *, write: bool, call: str, detail: str, may_have_left: bool) -> ChannelError:
    """The error for a call that got no whole answer.

    `error` is what httpx or the network raised, or TimeoutError for our own deadline; `detail` its text, redacted.
    `may_have_left` decides where the error's kind does not tell: whether any of the request may be on its way.
    """
    happened = "no whole answer before the deadline" if isinstance(error, TimeoutError) else type(error).__name__
    what = f"{call}: {happened}" + (f": {detail}" if detail else "")
    if isinstance(error, _CANNOT_BE_SENT):
        return ChannelMisbehaved(f"{what}; such a request cannot be sent")
    if isinstance(error, _NEVER_LEFT) or not may_have_left:
        return NotSent(what)
    return OutcomeUnknown(what) if write else TryLater(what)
