"""Simulated time: what runs in it, what holds it still, and what ends a simulation that cannot go on."""

import asyncio
import contextlib
import random
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from channelsync.lab import virtual_time
from channelsync.lab.virtual_time import (
    FLIGHT_HEADER,
    Answering,
    InFlightTransport,
    LabClock,
    LabDeadlock,
    LabStalled,
    VirtualLoop,
    loopback_server,
    run_virtual,
    running_virtual_loop,
)
from channelsync.store.database import open_database

START = datetime(2017, 12, 23, tzinfo=UTC)
DAY = 86_400.0


def shop(handler: Callable[[Request], Awaitable[Response]]) -> Starlette:
    return Starlette(routes=[Route("/", handler)])


async def greet(_request: Request) -> Response:
    return PlainTextResponse("good day")


def counted_client(**settings: object) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=InFlightTransport(httpx.AsyncHTTPTransport()), **settings)  # type: ignore[arg-type]


async def leave_timers_behind() -> None:
    """Timers that would move time at once if nothing held it."""
    for seconds in (0.5, 1, 60, DAY):
        asyncio.get_running_loop().call_later(seconds, lambda: None)


def test_a_day_of_sleeps_needs_no_real_time_and_ends_to_the_microsecond() -> None:
    async def main() -> datetime:
        clock = LabClock()
        for _ in range(24 * 60):
            await clock.sleep(60)
        assert running_virtual_loop().jumps == 24 * 60
        return clock.now()

    assert run_virtual(main(), start=START, patience=5) == START + timedelta(days=1)


def test_fractions_of_a_second_add_up_exactly() -> None:
    async def main() -> datetime:
        clock = LabClock()
        for _ in range(10_000):
            await clock.sleep(0.1)
        return clock.now()

    assert run_virtual(main(), start=START) == START + timedelta(seconds=1_000)


def test_a_sleep_is_never_too_short_even_below_a_microsecond() -> None:
    async def main() -> None:
        clock = LabClock()
        for seconds in (1e-7, 1e-6, 0.0000015, 1 / 3, 7.1):
            before = clock.monotonic()
            await clock.sleep(seconds)
            assert clock.monotonic() - before >= seconds - 1e-9

    run_virtual(main(), start=START)


def test_a_timeout_fires_in_simulated_time() -> None:
    async def main() -> timedelta:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3_600):
                await asyncio.Event().wait()
        return running_virtual_loop().elapsed()

    assert run_virtual(main(), start=START) == timedelta(hours=1)


def test_a_simulation_starts_at_an_aware_time_in_any_zone() -> None:
    with pytest.raises(ValueError, match="add its time zone"):
        VirtualLoop(datetime(2017, 12, 23))  # noqa: DTZ001

    async def main() -> datetime:
        return LabClock().now()

    elsewhere = START.astimezone(tz=datetime.fromisoformat("2017-12-23T00:00:00+05:30").tzinfo)
    now = run_virtual(main(), start=elsewhere)
    assert (now, now.tzinfo) == (START, UTC)


def test_a_skewed_clock_is_off_by_its_skew_and_sleeps_as_long_as_the_others() -> None:
    async def main() -> tuple[timedelta, timedelta]:
        true, late = LabClock(), LabClock(skew=timedelta(minutes=-3))
        before = late.now() - true.now()
        await late.sleep(60)
        assert true.now() == START + timedelta(seconds=60)
        assert true.monotonic() == late.monotonic()
        return before, late.now() - true.now()

    assert run_virtual(main(), start=START) == (timedelta(minutes=-3), timedelta(minutes=-3))


def test_the_clock_and_the_transport_refuse_an_ordinary_loop() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="run_virtual"):
            LabClock()
        with pytest.raises(RuntimeError, match="run_virtual"):
            await InFlightTransport(httpx.MockTransport(lambda _: httpx.Response(200))).handle_async_request(
                httpx.Request("GET", "http://shop/")
            )

    with asyncio.Runner() as runner:
        runner.run(main())


def history(seed: int) -> list[tuple[float, int, str]]:
    """What a small world does: workers that sleep, time out, wait for one another and fill a queue."""
    events: list[tuple[float, int, str]] = []

    async def worker(name: int, dice: random.Random, queue: asyncio.Queue[int], clock: LabClock) -> None:
        for _ in range(20):
            await clock.sleep(dice.choice((0.1, 0.25, 0.25, 1.0, 3.0)))
            queue.put_nowait(name)
            try:
                async with asyncio.timeout(dice.random() * 2):
                    events.append((clock.monotonic(), name, f"took {await queue.get()}"))
                    await clock.sleep(dice.random() * 2)
                    events.append((clock.monotonic(), name, "slept"))
            except TimeoutError:
                events.append((clock.monotonic(), name, "timed out"))

    async def main() -> None:
        queue: asyncio.Queue[int] = asyncio.Queue()
        dice = random.Random(seed)
        async with asyncio.TaskGroup() as tasks:
            for name in range(8):
                tasks.create_task(worker(name, random.Random(dice.random()), queue, LabClock()))

    run_virtual(main(), start=START)
    return events


def test_one_seed_gives_one_history_and_another_seed_another() -> None:
    assert history(7) == history(7)
    assert history(7) != history(8)


def test_time_stands_still_for_a_call_in_a_thread() -> None:
    async def main() -> timedelta:
        await leave_timers_behind()
        await asyncio.to_thread(threading.Event().wait, 0.05)
        return running_virtual_loop().elapsed()

    assert run_virtual(main(), start=START) == timedelta()


def test_time_stands_still_for_a_unit_of_work_on_sqlite_in_its_own_thread(tmp_path: Path) -> None:
    async def main() -> tuple[timedelta, list[tuple[str, ...]]]:
        await leave_timers_behind()
        loop = running_virtual_loop()
        async with open_database(f"sqlite:///{tmp_path / 'channelsync.db'}") as database:
            held = [await database.transact(lambda _: loop.held_by()), await database.query(lambda _: loop.held_by())]
        return loop.elapsed(), held

    call = ("database call (channelsync.store.sqlite)",)
    assert run_virtual(main(), start=START) == (timedelta(), [call, call])


def test_a_call_that_no_one_counts_does_not_hold_time() -> None:
    """The counter-proof: time runs away from a future that nobody knows to be work in flight."""
    release = threading.Event()

    async def main() -> timedelta:
        loop = running_virtual_loop()
        loop.call_later(60, release.set)
        done = loop.create_future()

        def work() -> None:
            release.wait(5)
            loop.call_soon_threadsafe(done.set_result, None)

        threading.Thread(target=work).start()
        await done
        return loop.elapsed()

    async def patient() -> timedelta:
        keep_going = asyncio.create_task(LabClock().sleep(10 * DAY))
        try:
            return await main()
        finally:
            keep_going.cancel()

    assert run_virtual(patient(), start=START, max_speed=100_000) >= timedelta(seconds=60)


def test_time_stands_still_for_a_request_to_a_server_outside_the_loop() -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def answer_slowly() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            threading.Event().wait(0.05)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngo")
            threading.Event().wait(0.05)
            connection.sendall(b"od")

    async def main() -> tuple[timedelta, str]:
        await leave_timers_behind()
        async with counted_client(timeout=10) as client:
            answer = await client.get(f"http://127.0.0.1:{listener.getsockname()[1]}/")
            return running_virtual_loop().elapsed(), answer.text

    with listener:
        server = threading.Thread(target=answer_slowly)
        server.start()
        assert run_virtual(main(), start=START) == (timedelta(), "good")
        server.join()


def test_many_requests_on_loopback_sockets_take_no_simulated_time() -> None:
    async def main() -> timedelta:
        await leave_timers_behind()
        loop = running_virtual_loop()
        async with loopback_server(shop(greet)) as url, counted_client() as client:
            answers = await asyncio.gather(*(client.get(url) for _ in range(50)))
            assert {answer.text for answer in answers} == {"good day"}
            assert loop.held_by() == ()
            return loop.elapsed()

    assert run_virtual(main(), start=START) == timedelta()


def test_an_idle_server_neither_wakes_the_loop_nor_drops_its_clients_over_a_day() -> None:
    connections = set()

    async def answer(request: Request) -> Response:
        connections.add(request.client)
        return PlainTextResponse("good day")

    async def main() -> tuple[int, timedelta]:
        loop, clock = running_virtual_loop(), LabClock()
        async with loopback_server(shop(answer)) as url, counted_client() as client:
            before = loop.jumps
            for _ in range(24):
                assert (await client.get(url)).status_code == 200
                await clock.sleep(3_600)
            return loop.jumps - before, loop.elapsed()

    assert run_virtual(main(), start=START) == (24, timedelta(days=1))
    assert len(connections) == 1


def test_a_server_that_answers_late_lets_simulated_time_go_on() -> None:
    async def late(_request: Request) -> Response:
        await LabClock().sleep(2.5)
        return PlainTextResponse("sorry")

    async def main() -> timedelta:
        async with loopback_server(shop(late)) as url, counted_client() as client:
            assert (await client.get(url)).text == "sorry"
            return running_virtual_loop().elapsed()

    assert run_virtual(main(), start=START, patience=5) == timedelta(seconds=2.5)


def test_a_drip_fed_body_is_in_flight_between_its_drips_only() -> None:
    async def drip() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"."
            await LabClock().sleep(3)

    async def dripping(_request: Request) -> Response:
        return StreamingResponse(drip())

    async def main() -> tuple[timedelta, str]:
        async with loopback_server(shop(dripping)) as url, counted_client(timeout=4) as client:
            answer = await client.get(url)
            return running_virtual_loop().elapsed(), answer.text

    assert run_virtual(main(), start=START, patience=5) == (timedelta(seconds=15), ".....")


def test_a_client_gives_up_in_simulated_time_on_a_server_that_hangs() -> None:
    async def hang(_request: Request) -> Response:
        with running_virtual_loop().lapse():
            await asyncio.Event().wait()
        return PlainTextResponse("never")

    async def main() -> timedelta:
        loop = running_virtual_loop()
        async with loopback_server(shop(hang)) as url, counted_client(timeout=None) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(30):
                    await client.get(url)
            assert loop.held_by() == ()
            return loop.elapsed()

    assert run_virtual(main(), start=START, patience=5) == timedelta(seconds=30)


def test_a_lapse_outside_an_answer_holds_and_frees_nothing() -> None:
    async def main() -> None:
        loop = running_virtual_loop()
        with loop.in_flight("a count of the shelf"), loop.lapse():
            assert loop.held_by() == ("a count of the shelf",)

    run_virtual(main(), start=START)


def test_a_flight_header_that_is_no_number_is_ignored() -> None:
    async def main() -> str:
        inside = httpx.ASGITransport(Answering(shop(greet)))
        async with httpx.AsyncClient(transport=inside) as client:
            return (await client.get("http://shop/", headers={FLIGHT_HEADER: "12; drop"})).text

    assert run_virtual(main(), start=START) == "good day"


@pytest.mark.parametrize("ending", ["read", "broken halfway", "closed unread", "refused", "answered from memory"])
def test_a_request_holds_time_until_its_body_is_read_or_closed(ending: str) -> None:
    class Body(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"good "
            if ending == "broken halfway":
                raise httpx.ReadError("reset")
            yield b"day"

    def answer(_request: httpx.Request) -> httpx.Response:
        if ending == "refused":
            raise httpx.ConnectError("refused")
        return httpx.Response(200, text="good day") if "memory" in ending else httpx.Response(200, stream=Body())

    async def main() -> None:
        loop = running_virtual_loop()
        transport = InFlightTransport(httpx.MockTransport(answer))
        request = httpx.Request("GET", "http://shop/orders?token=secret")
        if ending == "refused":
            with pytest.raises(httpx.ConnectError):
                await transport.handle_async_request(request)
        elif "memory" in ending:
            await transport.handle_async_request(request)
        else:
            response = await transport.handle_async_request(request)
            (held_by,) = loop.held_by()
            assert "shop" in held_by
            assert "/orders" in held_by
            assert "secret" not in held_by
            assert isinstance(response.stream, httpx.AsyncByteStream)
            if ending == "closed unread":
                await response.aclose()
            else:
                with contextlib.suppress(httpx.ReadError):
                    assert [part async for part in response.stream] == [b"good ", b"day"]
        assert loop.held_by() == ()

    run_virtual(main(), start=START)


def test_a_socket_that_is_ready_is_handled_before_time_jumps() -> None:
    async def main() -> list[str]:
        loop = running_virtual_loop()
        ours, theirs = socket.socketpair()
        seen: list[str] = []
        with ours, theirs:
            ours.setblocking(False)
            loop.add_reader(ours, lambda: seen.append(f"read {ours.recv(10)!r} at {loop.elapsed()}"))
            loop.call_later(60, lambda: seen.append("a minute later"))
            theirs.send(b"hello")
            await asyncio.sleep(120)
            loop.remove_reader(ours)
        return seen

    assert run_virtual(main(), start=START) == ["read b'hello' at 0:00:00", "a minute later"]


def test_a_deadlock_is_an_error_that_names_the_waiting_tasks_and_their_places() -> None:
    async def wait_for_an_order(orders: asyncio.Queue[int]) -> None:
        await orders.get()

    async def main() -> None:
        waiting = asyncio.create_task(wait_for_an_order(asyncio.Queue()), name="order intake")
        await LabClock().sleep(5)
        await waiting

    with pytest.raises(LabDeadlock) as raised:
        run_virtual(main(), start=START)
    told = str(raised.value)
    assert "2017-12-23 00:00:05" in told
    assert "order intake waits in" in told
    assert "wait_for_an_order > Queue.get line" in told


def test_work_in_flight_that_never_moves_is_an_error_that_names_it() -> None:
    async def main() -> None:
        with running_virtual_loop().in_flight("a courier without a way home"):
            await LabClock().sleep(1)

    with pytest.raises(LabStalled, match="a courier without a way home") as raised:
        run_virtual(main(), start=START, patience=0.05)
    assert "main > sleep line" in str(raised.value)


def test_tasks_that_wake_one_another_for_ever_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_time, "TURNS_MAX", 50)

    async def main() -> None:
        for _ in range(60):
            await LabClock().sleep(1)  # time passes, so this goes on for as long as it likes
        while True:  # noqa: ASYNC110 - this is what it is about
            await asyncio.sleep(0)

    with pytest.raises(LabStalled, match="no time has passed"):
        run_virtual(main(), start=START)


def test_a_call_that_was_given_up_holds_time_no_longer() -> None:
    release = threading.Event()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.to_thread(release.wait, 5)
        await LabClock().sleep(60)
        release.set()

    run_virtual(main(), start=START, patience=5)


def test_a_limit_of_speed_slows_the_jumps_and_still_lets_sockets_in() -> None:
    async def main() -> tuple[timedelta, list[timedelta]]:
        loop = running_virtual_loop()
        seen: list[timedelta] = []
        knock = threading.Timer(0.01, loop.call_soon_threadsafe, [lambda: seen.append(loop.elapsed())])
        knock.start()
        await LabClock().sleep(100)
        knock.join()
        return loop.elapsed(), seen

    assert run_virtual(main(), start=START, max_speed=1_000) == (timedelta(seconds=100), [timedelta()])


def test_an_error_in_a_simulation_comes_out_as_itself() -> None:
    async def main() -> None:
        await LabClock().sleep(60)
        raise LookupError("no such listing")

    with pytest.raises(LookupError, match="no such listing"):
        run_virtual(main(), start=START)
