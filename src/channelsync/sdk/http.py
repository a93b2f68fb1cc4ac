"""The HTTP client of every connector: budget, breaker, deadlines, retries, and what a failure means.

A connector says what it asks (`Call`) and gets the `Answer`, or one of the errors of `sdk.errors`; the table of
which failure becomes which error is in `sdk.outcomes`. Repeated within one call, until the deadline passes or the
attempts run out: reads, writes declared `idempotent`, and whatever provably changed nothing. Every attempt is
paid from the budget.

It sits on httpx's transports, not on its client: the client logs every URL with its query, keeps cookies, and
follows redirects; a connector wants none of these. No other module of ours touches httpx to send.
"""

import asyncio
import random
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Self

import anyio
import httpx
import orjson
import structlog
import tenacity
from pydantic import SecretStr

from channelsync.sdk.answers import Answer, read_body
from channelsync.sdk.attempts import Progress, Run
from channelsync.sdk.breaker import Breaker, ServerTime
from channelsync.sdk.calls import Call, HttpSettings, Sign, Timeouts
from channelsync.sdk.clock import Clock
from channelsync.sdk.errors import (
    AnswerUnreadable,
    BudgetShort,
    ChannelError,
    ChannelMisbehaved,
    OutcomeUnknown,
    TryLater,
)
from channelsync.sdk.limiter import Grant, Limiter, current_lane
from channelsync.sdk.observing import EndedCall, tell_observer
from channelsync.sdk.outcomes import error_of_failure, error_of_status
from channelsync.sdk.redaction import KnownSecrets
from channelsync.sdk.retries import Backoff, may_retry
from channelsync.sdk.right_to_write import may_write
from channelsync.sdk.tls import trusted

__all__ = ["Answer", "Backoff", "Call", "HttpSettings", "HttpTransport", "Sign", "Timeouts"]

log = structlog.get_logger(__name__)

_CLOSED = (httpx.RemoteProtocolError, httpx.ReadError)
_DETAIL_CHARACTERS_READ = 2000
_DETAIL_CHARACTERS_SHOWN = 200


class HttpTransport:
    """Sends the calls of one channel. An async context manager; closing it closes `transport` too.

    `rng` draws the jitter. `transport` None means the network; tests and the lab pass their own.
    `observe_answer` sees every whole answer, refusals too, before it is judged: that is where a connector feeds
    rate headers to the limiter.
    """

    def __init__(
        self,
        settings: HttpSettings,
        *,
        clock: Clock,
        limiter: Limiter,
        breaker: Breaker,
        rng: random.Random,
        transport: httpx.AsyncBaseTransport | None = None,
        observe_answer: Callable[[Answer], None] | None = None,
    ) -> None:
        self._settings = settings
        self._base = httpx.URL(settings.base_url)
        self._clock = clock
        self._limiter = limiter
        self._breaker = breaker
        self._rng = rng
        self._transport = transport or _network(settings.connections_max)
        self._observe_answer = observe_answer
        self._secrets = KnownSecrets(settings.secrets)
        for value in settings.headers.values():
            self._secrets.add(value)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes all connections; calls under way fail."""
        await self._transport.aclose()

    async def request(self, call: Call) -> Answer:
        """Makes the call. Returns 2xx and the statuses of `call.accept`; raises as `sdk.outcomes` tells.

        A write of which any attempt may have been applied ends in `OutcomeUnknown`, however the last one failed.
        """
        for value in (*call.headers.values(), *call.params.values()):
            self._secrets.add(value)
        run = Run(call, self._name(call), self._url(call), self._clock.monotonic())
        outcome = "unfinished"
        try:
            answer: Answer = await self._retrying(run)(self._attempt, run)
            outcome = f"HTTP {answer.status}"
        except ChannelError as error:
            outcome = type(error).__name__
            if run.maybe_applied and not isinstance(error, OutcomeUnknown | AnswerUnreadable):
                wait = error.retry_after if isinstance(error, TryLater) else None
                raise OutcomeUnknown(f"{error}; an earlier attempt may have been applied", retry_after=wait) from error
            raise
        finally:
            took = self._clock.monotonic() - run.started
            log.debug(
                "channel.call",
                channel=self._settings.channel,
                call=run.name,
                kind=call.kind,
                outcome=outcome,
                attempts=run.attempts,
                waited_s=round(run.waited, 3),
                took_s=round(took, 3),
            )
            ended = EndedCall(self._settings.channel, call.kind, outcome, run.attempts, run.waited, took)
            tell_observer(ended)
        return answer

    # Repeating

    def _retrying(self, run: Run) -> tenacity.AsyncRetrying:
        backoff = self._settings.backoff
        attempts_max = run.call.attempts or backoff.attempts

        def again(error: BaseException) -> bool:
            lost = run.call.kind == "write" and not may_write()
            return not lost and may_retry(error, repeatable=run.repeatable, unreadable_before=run.unreadable > 1)

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            return backoff.wait(state.attempt_number, getattr(error, "retry_after", None), self._rng)

        def stop(state: tenacity.RetryCallState) -> bool:
            if run.deadline is None or state.attempt_number >= attempts_max:
                return True
            return self._clock.monotonic() + state.upcoming_sleep >= run.deadline

        return tenacity.AsyncRetrying(
            sleep=self._clock.sleep, retry=tenacity.retry_if_exception(again), wait=wait, stop=stop, reraise=True
        )

    async def _attempt(self, run: Run) -> Answer:
        run.attempts += 1
        try:
            try:
                return await self._paid_and_guarded(run)
            except _StaleConnection:
                # The channel closed a kept connection just as we used it. No fault of anybody's: at once, on a
                # new connection, and not counted as an attempt.
                return await self._paid_and_guarded(run)
        except AnswerUnreadable:
            run.unreadable += 1
            run.maybe_applied = run.call.kind == "write"
            raise
        except OutcomeUnknown:
            run.maybe_applied = True
            raise

    async def _paid_and_guarded(self, run: Run) -> Answer:
        cheap_read = run.call.kind == "read"
        self._breaker.check(cheap_read=cheap_read)
        grant = await self._pay(run)
        try:
            self._breaker.check(cheap_read=cheap_read)
        except ChannelError:
            self._limiter.give_back(grant)
            raise
        with self._breaker.guard(cheap_read=cheap_read):
            answer = await self._exchange(run, grant)
            if self._observe_answer is not None:
                self._observe_answer(answer)
            self._judge(answer, run)
        return answer

    async def _pay(self, run: Run) -> Grant:
        call = run.call
        lane = call.lane or current_lane()
        now = self._clock.monotonic()
        patience = self._settings.timeouts.budget if run.deadline is None else run.deadline - now
        wait = self._limiter.would_wait(call.cost, lane=lane, bucket=call.bucket)
        short = f"{run.name}: the budget is short, {lane} calls wait {wait:.0f} s"
        if wait > patience:
            raise BudgetShort(short, retry_after=wait)
        try:
            async with asyncio.timeout(patience):
                grant = await self._limiter.acquire(call.cost, lane=lane, bucket=call.bucket)
        except TimeoutError:
            raise BudgetShort(short, retry_after=wait) from None
        run.waited += grant.waited
        return grant

    # One exchange over the wire

    async def _exchange(self, run: Run, grant: Grant) -> Answer:
        now = self._clock.monotonic()
        if run.deadline is None:
            run.deadline = now + self._settings.timeouts.total
        progress = Progress(run)
        progress.check()  # here too, for a transport that tells nothing of its progress
        request = self._build(run, progress)
        asked_at = self._clock.now()
        try:
            # Not asyncio's: what is closed beside this request, httpcore shields from anyio's cancellation alone.
            with anyio.fail_after(run.deadline - now):
                response = await self._transport.handle_async_request(request)
                progress.answering = True
                try:
                    body = await read_body(response, method=request.method, bytes_max=self._settings.body_bytes_max)
                finally:
                    await response.aclose()
        except AnswerUnreadable as error:
            raise AnswerUnreadable(self._secrets.text(f"{run.name}: {error}")) from None
        except (httpx.RequestError, OSError) as error:
            if progress.stale and isinstance(error, _CLOSED) and run.repeatable and not run.stale_before:
                run.stale_before = True
                run.maybe_applied = run.call.kind == "write"
                raise _StaleConnection from error
            raise self._failure(error, run, progress) from self._chainable(error)
        answered_at = self._clock.now()
        answer = Answer(
            call=run.name,
            status=response.status_code,
            headers=response.headers,
            body=body,
            asked_at=asked_at,
            answered_at=answered_at,
            grant=grant,
        )
        if answer.server_date is not None and "age" not in answer.headers:  # a cache's copy tells an old time
            self._breaker.server_time = ServerTime(answer.server_date, asked_at, answered_at)
        return answer

    def _build(self, run: Run, progress: Progress) -> httpx.Request:
        call, timeouts = run.call, self._settings.timeouts
        headers = httpx.Headers(
            {
                "Accept": "application/json" if call.expect == "json" else "*/*",
                "Accept-Encoding": "gzip",
                "User-Agent": self._settings.user_agent,
            }
        )
        content = call.content
        if call.json is not None:
            content = orjson.dumps(call.json)
            headers["Content-Type"] = "application/json"
        for given in (self._settings.headers, call.headers):
            headers.update({name: _reveal(value) for name, value in given.items()})
        waits = {"connect": timeouts.connect, "pool": timeouts.pool, "read": timeouts.read, "write": timeouts.write}
        extensions = {"timeout": waits, "trace": progress.note}
        request = httpx.Request(call.method, run.url, headers=headers, content=content, extensions=extensions)
        if self._settings.sign is not None:
            for shown in self._settings.sign(request):
                self._secrets.add(shown)
        return request

    def _url(self, call: Call) -> httpx.URL:
        """Where the call goes. Raises ChannelMisbehaved for an address that is not on the configured host."""
        try:
            target = httpx.URL(call.path)
        except httpx.InvalidURL:
            raise ChannelMisbehaved(f"{self._name(call)}: this is no address that can be called") from None
        base = self._base
        if not target.is_absolute_url:
            below = base.raw_path.rstrip(b"/") + target.raw_path
            target = base.copy_with(raw_path=below)
        elif (target.scheme, target.host, target.port) != (base.scheme, base.host, base.port):
            raise ChannelMisbehaved(f"{self._name(call)} is not on {base.host}; our credentials stay with that host")
        params = {name: _reveal(value) for name, value in call.params.items()}
        return target.copy_merge_params(params) if params else target

    # Judging

    def _judge(self, answer: Answer, run: Run) -> None:
        """Raises what the answer means, unless the caller can use it."""
        call, status, now = run.call, answer.status, self._clock.now()
        backoff = self._settings.backoff
        retry_after = backoff.retry_after(answer.headers.get("retry-after"), server_date=answer.server_date, now=now)
        if status == httpx.codes.TOO_MANY_REQUESTS:
            penalty = timedelta(seconds=retry_after or backoff.ceiling(run.attempts))
            self._limiter.penalise(now + penalty, bucket=call.bucket)
        if status in call.accept:
            return
        if httpx.codes.is_success(status):
            if call.expect == "json":
                answer.json()
            return
        raise error_of_status(
            status,
            write=call.kind == "write",
            call=run.name,
            detail=self._detail(answer),
            retry_after=retry_after,
        )

    def _detail(self, answer: Answer) -> str:
        if httpx.codes.is_redirect(answer.status):
            return "redirect to " + self._secrets.url(answer.headers.get("location", "nowhere"))
        # Redacted before it is cut: a cut might halve a secret and so hide it from redaction.
        text = self._secrets.text(answer.body[:_DETAIL_CHARACTERS_READ].decode("utf-8", "replace"))
        return " ".join(text.split())[:_DETAIL_CHARACTERS_SHOWN]

    def _failure(self, error: Exception, run: Run, progress: Progress) -> ChannelError:
        return error_of_failure(
            error,
            write=run.call.kind == "write",
            call=run.name,
            detail=self._secrets.text(str(error)),
            may_have_left=progress.may_have_left,
        )

    # Secrets

    def keep_secret(self, secret: SecretStr) -> None:
        """From now on this is hidden too: for a token that was renewed after the transport was built."""
        self._secrets.add(secret)

    def _chainable(self, error: Exception) -> Exception | None:
        """The error, to be shown as the cause; None when its own text holds a secret."""
        return error if self._secrets.text(str(error)) == str(error) else None

    def _name(self, call: Call) -> str:
        return f"{self._settings.channel}: {call.method} {self._secrets.url(call.path)}"


def _network(connections_max: int) -> httpx.AsyncHTTPTransport:
    return httpx.AsyncHTTPTransport(verify=trusted(), limits=httpx.Limits(max_connections=connections_max))


class _StaleConnection(Exception):
    """A kept connection turned out to be closed."""


def _reveal(value: str | int | SecretStr) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
