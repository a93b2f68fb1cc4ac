"""Simulated time: an event loop on which the unchanged production code runs a day in seconds.

On a `VirtualLoop` `asyncio.sleep`, `asyncio.timeout` and `call_later` count simulated seconds. When nothing is
ready and nothing is in flight the loop jumps to its next timer; while work is in flight time stands still and
the loop waits for real. I/O that is ready is always handled before time moves. Two uses:

- deterministic simulation: no sockets, no threads, everything inline. The same seed gives the same history;
- the demo: real servers and clients on loopback sockets, a database in a thread or behind a socket.

What counts as in flight:

- calls in threads, connecting sockets, and the calls of a database driver named in `DRIVERS`: by themselves;
- HTTP requests that leave through `InFlightTransport`, until the answer's body is read or closed;
- whatever runs inside `with loop.in_flight("what it is"):`.

A server that answers such a request late on purpose would wait for ever, because its caller holds time still. It
sleeps on `LabClock.sleep`, or inside `with loop.lapse():`; both let time go on for the request being answered.
Whoever answers must be wrapped in `Answering` for that (`loopback_server` does it). A request whose answer hangs
on another task's timer must not be counted: send it through a plain transport. Libraries that read the wall clock
themselves (APScheduler, httpcore's idle limit) see real time.
"""

import asyncio
import contextlib
import contextvars
import selectors
import socket
import sys
import time
import types
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, TypeVarTuple

import httpx
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from channelsync.sdk.clock import Clock

DRIVERS = frozenset({"asyncpg", "channelsync.store.sqlite"})
"""Packages and modules whose futures are calls to a database: time stands still until they are done. asyncpg's wait
for a socket, those of `store.sqlite` for a thread that it keeps itself."""

_HELD_FOR_LONG = frozenset({"asyncpg.pool"})
"""Modules of drivers whose futures are no calls: asyncpg's pool keeps one for as long as a connection is lent."""

FLIGHT_HEADER = "x-lab-flight"
"""Names the request in flight to the server that answers it, so that the server can let time go on."""

TURNS_MAX = 200_000
"""So often tasks may go on in one instant without a socket or a thread; then they would for ever."""

_ORIGIN = 1_000.0
"""What `VirtualLoop.time` starts at. Like a real monotonic clock it is never 0, which code may take for `never`."""
_DIGITS = 6
"""Simulated time moves on a grid of one microsecond, so that a datetime holds it exactly."""

_KEEP_ALIVE = 7 * 86_400
"""Simulated seconds that a loopback server keeps an idle connection: longer than any run, as one that closes just
when its client sends gives an unknown outcome that nobody asked for."""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
_Ready = list[tuple[selectors.SelectorKey, int]]
_ANSWERING: contextvars.ContextVar[int | None] = contextvars.ContextVar("_ANSWERING", default=None)


class LabDeadlock(RuntimeError):
    """Nothing is ready, nothing is in flight and no timer is set: the simulation can never go on."""


class LabStalled(RuntimeError):
    """Work in flight did not move for longer than the loop's patience; or tasks keep one another busy, and no time."""


class Flight:
    """One piece of work that simulated time waits for, until it has landed."""

    __slots__ = ("_flights", "lapses", "number", "what")

    def __init__(self, number: int, what: str, flights: dict[int, "Flight"]) -> None:
        self.number = number
        self.what = what
        self.lapses = 0
        self._flights = flights

    def land(self) -> None:
        """Time need not wait for this any more; landing twice is harmless."""
        self._flights.pop(self.number, None)


class _TimeSelector(selectors.DefaultSelector):
    """The real selector; when nothing is ready the loop decides between waiting and moving time."""

    when_idle: Callable[[float | None], _Ready]
    turns = 0

    def select(self, timeout: float | None = None) -> _Ready:
        ready = self.wait(0)
        turns, self.turns = self.turns + 1, 0  # 0 before an error as well: who winds up then has turns of its own
        if ready or timeout is None or timeout > 0:
            return ready or self.when_idle(timeout)
        if turns > TURNS_MAX:
            raise LabStalled(f"tasks have kept one another busy {TURNS_MAX:,} times, and no time has passed")
        self.turns = turns
        return ready

    def wait(self, timeout: float) -> _Ready:
        """What becomes ready within so many real seconds."""
        return super().select(timeout)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in simulated time that begins at `start` (an aware datetime, else ValueError).

    `max_speed` limits simulated seconds a real second; None is as fast as the work allows. `patience` is how many
    real seconds work in flight may stand without any socket or thread moving before `LabStalled` is raised.
    `LabDeadlock` and `LabStalled` come out of `run_until_complete` and name the waiting tasks. Not thread-safe:
    flights take off and land in the loop's own thread.
    """

    def __init__(self, start: datetime, *, max_speed: float | None = None, patience: float = 60.0) -> None:
        self.start = start.astimezone(UTC)
        self.max_speed = max_speed
        self.patience = patience
        self.jumps = 0
        self._now = _ORIGIN
        self._jumped_at = time.monotonic()
        self._numbers = 0
        self._flights: dict[int, Flight] = {}
        self._calls: weakref.WeakKeyDictionary[asyncio.Future[Any], str] = weakref.WeakKeyDictionary()
        self._time_selector = _TimeSelector()
        self._time_selector.when_idle = self._idle
        super().__init__(self._time_selector)
        if start.tzinfo is None:
            self.close()
            raise ValueError(f"a simulation starts at an aware time, not at {start.isoformat()}: add its time zone")

    def time(self) -> float:
        """Simulated seconds, monotonic, from an arbitrary origin."""
        return self._now

    def elapsed(self) -> timedelta:
        """Simulated time since the start."""
        return timedelta(seconds=self._now - _ORIGIN)

    def take_off(self, what: str) -> Flight:
        """Holds time still until the flight lands; prefer `in_flight` where a block will do."""
        self._numbers += 1
        flight = self._flights[self._numbers] = Flight(self._numbers, what, self._flights)
        return flight

    @contextlib.contextmanager
    def in_flight(self, what: str = "work") -> Iterator[Flight]:
        """Time stands still while the block runs; `what` names it in errors."""
        flight = self.take_off(what)
        try:
            yield flight
        finally:
            flight.land()

    @contextlib.contextmanager
    def lapse(self) -> Iterator[None]:
        """Time goes on while the block runs, for the request that this context answers; else changes nothing."""
        flight = self._flights.get(_ANSWERING.get() or 0)
        if flight is None:
            yield
            return
        flight.lapses += 1
        try:
            yield
        finally:
            flight.lapses -= 1

    def held_by(self) -> tuple[str, ...]:
        """What time waits for at present, oldest first; empty when it may move."""
        flights = tuple(flight.what for flight in self._flights.values() if not flight.lapses)
        return flights + tuple(what for future, what in list(self._calls.items()) if not future.done())

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """As asyncio's, on the grid of simulated time and never too early."""
        on_grid = round(when, _DIGITS)
        if on_grid < when - 1e-9:
            on_grid = round(on_grid + 10**-_DIGITS, _DIGITS)
        return super().call_at(on_grid, callback, *args, context=context)

    def create_future(self) -> asyncio.Future[Any]:
        """As asyncio's; one made by a database driver holds time still until it is done or dropped."""
        future = super().create_future()
        maker = sys._getframe(1).f_globals.get("__name__", "")
        if not DRIVERS.isdisjoint((maker, maker.partition(".")[0])) and maker not in _HELD_FOR_LONG:
            self._calls[future] = f"database call ({maker})"
        return future

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """As asyncio's; time stands still until the call is done."""
        future = super().run_in_executor(executor, func, *args)
        self._calls[future] = f"call in a thread ({getattr(func, '__qualname__', repr(func))})"
        return future

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """As asyncio's; time stands still until it is connected."""
        with self.in_flight(f"connecting to {address}"):
            await super().sock_connect(sock, address)

    async def shutdown_default_executor(self, *timeout: float | None) -> None:
        """As asyncio's; time stands still until the threads have ended."""
        with self.in_flight("threads ending"):
            await super().shutdown_default_executor(*timeout)

    def _idle(self, timeout: float | None) -> _Ready:
        """Nothing is ready: wait for what is in flight, else move time by `timeout` (None: no timer is set)."""
        held_by = self.held_by()
        if held_by:
            return self._wait(held_by)
        if timeout is None:
            raise LabDeadlock(
                f"nothing is ready, in flight or timed at {self.start + self.elapsed()}: {self._waiting()}. "
                "Something must wake one of them: a timer, a socket, or work that is counted in flight."
            )
        return self._jump(round(self._now + timeout, _DIGITS))

    def _wait(self, held_by: tuple[str, ...]) -> _Ready:
        began = time.monotonic()
        ready = self._time_selector.wait(self.patience)
        if not ready and time.monotonic() - began >= self.patience:
            raise LabStalled(
                f"in flight for {self.patience:g} real seconds without a move: {', '.join(held_by)}; waiting: "
                f"{self._waiting()}. Whoever answers must wait with LabClock.sleep or inside loop.lapse()."
            )
        return ready

    def _jump(self, target: float) -> _Ready:
        if self.max_speed is not None:
            due = self._jumped_at + (target - self._now) / self.max_speed
            wait = due - time.monotonic()
            if wait > 0 and (ready := self._time_selector.wait(wait)):
                return ready
        self._jumped_at = time.monotonic()
        self._now = target
        self.jumps += 1
        return []

    def _waiting(self) -> str:
        tasks = sorted(asyncio.all_tasks(self), key=lambda task: task.get_name())
        return "; ".join(f"{task.get_name()} waits in {_place(task)}" for task in tasks) or "no task waits"


def _place(task: asyncio.Task[Any]) -> str:
    """Where a task waits: its own function and the innermost one, with its line."""
    outer: Any = task.get_coro()
    inner = outer
    while isinstance(getattr(inner, "cr_await", None), types.CoroutineType):
        inner = inner.cr_await
    frame = getattr(inner, "cr_frame", None)
    line = "" if frame is None else f" line {frame.f_lineno}"
    names = [getattr(coroutine, "__qualname__", repr(coroutine)) for coroutine in (outer, inner)]
    return " > ".join(dict.fromkeys(names)) + line


def running_virtual_loop() -> VirtualLoop:
    """The virtual loop that runs the caller; RuntimeError on any other loop, or on none."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        raise RuntimeError("this needs simulated time: run it by run_virtual")  # noqa: TRY004
    return loop


def run_virtual(
    main: Coroutine[Any, Any, T],
    *,
    start: datetime,
    max_speed: float | None = None,
    patience: float = 60.0,
) -> T:
    """Runs a coroutine in simulated time from `start`, as `asyncio.run` does; arguments as for `VirtualLoop`."""

    def loop() -> VirtualLoop:
        return VirtualLoop(start, max_speed=max_speed, patience=patience)

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(main)


class LabClock(Clock):
    """The clock of a simulation: the Clock that production code takes.

    `skew` is how far this clock's civil time is ahead of the truth (negative: behind); `monotonic` and `sleep` are
    not skewed. Without `loop` it is the clock of the running virtual loop.
    """

    def __init__(self, loop: VirtualLoop | None = None, *, skew: timedelta = timedelta()) -> None:
        self._loop = running_virtual_loop() if loop is None else loop
        self.skew = skew

    def now(self) -> datetime:
        """Aware UTC."""
        return self._loop.start + self._loop.elapsed() + self.skew

    def monotonic(self) -> float:
        """Simulated seconds from an arbitrary origin, never backwards."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Waits in simulated time; lets time go on for the request that the caller answers."""
        with self._loop.lapse():
            await asyncio.sleep(seconds)


class InFlightTransport(httpx.AsyncBaseTransport):
    """Holds time still for every request, from sending until the answer's body is fully read or closed.

    Errors and cancellation end the flight at once. It adds `FLIGHT_HEADER` to the request.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        flight = running_virtual_loop().take_off(f"{request.method} {url.host}:{url.port}{url.path}")
        request.headers[FLIGHT_HEADER] = str(flight.number)
        try:
            response = await self._inner.handle_async_request(request)
        except BaseException:
            flight.land()
            raise
        if response.is_closed:
            flight.land()
        elif isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = _FlightStream(response.stream, flight)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _FlightStream(httpx.AsyncByteStream):
    """An answer's body that lands its flight when it ends, fails or is closed."""

    def __init__(self, inner: httpx.AsyncByteStream, flight: Flight) -> None:
        self._inner = inner
        self._flight = flight

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._inner:
                yield chunk
        finally:
            self._flight.land()

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            self._flight.land()


class Answering:
    """An ASGI application whose waits on the lab's clock do not hold time still for its callers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", ()))
        number = headers.get(FLIGHT_HEADER.encode(), b"")
        token = _ANSWERING.set(int(number) if number.isdigit() else None)
        try:
            await self._app(scope, receive, send)
        finally:
            _ANSWERING.reset(token)


@contextlib.asynccontextmanager
async def loopback_server(app: ASGIApp, port: int = 0) -> AsyncIterator[str]:
    """Serves an ASGI application by uvicorn on a loopback port, 0: a free one; gives its base URL.

    uvicorn's own main loop is not run: it wakes ten times a second, which is a million times a simulated day. So
    the server sends no Date header (the application may, from its clock) and takes no signals.
    """
    config = uvicorn.Config(
        Answering(app), log_config=None, access_log=False, timeout_keep_alive=_KEEP_ALIVE, timeout_graceful_shutdown=10
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    # Named as TCP, or asyncio leaves Nagle's algorithm on: 40 ms a request on a kept connection.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", port))
        await server.startup(sockets=[listener])
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            await server.shutdown(sockets=[listener])
