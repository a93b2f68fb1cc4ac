"""`channelsync feeds` and `hooks`, with the examples of docs/feeds.md and docs/hooks.md as they stand there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import jsonschema
import orjson
import pytest
import standardwebhooks

from channelsync.runtime.config import Loaded
from channelsync.sync.outgoing_events import EVENTS

DOCS = Path(__file__).parents[2] / "docs"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ReadConfig = Callable[..., Loaded]


def blocks(page: str, language: str) -> list[str]:
    """The examples of a page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


FEEDS = {re.findall('name = "([^"]+)"', one)[0]: one for one in blocks("feeds.md", "toml")}
CSV = blocks("feeds.md", "csv")


@pytest.fixture
def shop(shopkeeper: Any, tmp_path: Path) -> Any:
    """A seller whose configuration begins with the place of the examples."""
    for sku in ("MUG-BLUE", "MUG-RED"):
        assert shopkeeper.runs("stock", "receive", sku, "1", "--location", "main", "--create-item").code == 0
    return shopkeeper


def add(shop: Any, text: str) -> None:
    shop.config.write_text(f"{shop.config.read_text()}\n{text}")


def test_the_folder_of_the_documentation_is_imported(shop: Any, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    add(shop, FEEDS["erp"].replace("/srv/erp/out", str(folder)))
    assert shop.runs("feeds", "run", "erp").err.startswith("No file to take")
    (folder / "stock-20260301-1000.csv").write_bytes(CSV[0].encode("cp1252"))
    ran = shop.runs("feeds", "run", "erp", "--json")
    assert ran.code == 0, ran.err
    (report,) = ran.document["taken"]
    example = orjson.loads(blocks("feeds.md", "json")[0])
    assert report.keys() == example.keys()
    assert (report["outcome"], report["rows"], report["file"]) == ("imported", 2, example["file"])
    (row,) = shop.runs("feeds", "list", "--json").rows
    assert (row["name"], row["last_file"], row["outcome"]) == ("erp", "stock-20260301-1000.csv", "imported")


def test_the_receipts_of_the_documentation_are_received(shop: Any, tmp_path: Path) -> None:
    folder = tmp_path / "receipts"
    folder.mkdir()
    add(shop, FEEDS["goods-in"].replace("/srv/wms/receipts", str(folder)))
    (folder / "today.csv").write_text(CSV[1])
    (folder / "broken.csv").write_text(CSV[1].replace("units", "pieces"))
    ran = shop.runs("feeds", "run", "goods-in")
    assert ran.code == 1
    assert "today.csv: imported: 2 rows" in ran.err
    assert "broken.csv: refused" in ran.err
    assert [one["kind"] for one in shop.runs("findings", "list", "--json").rows] == ["feed refused"]


def test_every_example_of_the_documentation_is_a_valid_configuration(read_config: ReadConfig) -> None:
    page = "\n".join([*FEEDS.values(), *blocks("hooks.md", "toml")])
    environ = {"SUPPLIER_KEY": "key", "WMS_SECRET": SECRET}
    loaded = read_config(f'[[location]]\nname = "main"\n{page}', environ)
    assert [one.name for one in loaded.config.feeds] == ["erp", "goods-in", "wms", "supplier"]
    assert loaded.config.hooks[0].setup.events == EVENTS


@pytest.mark.parametrize("example", blocks("hooks.md", "json"))
def test_every_message_of_the_documentation_is_as_the_schema_says(example: str) -> None:
    schema = orjson.loads((DOCS / "hooks.schema.json").read_bytes())
    jsonschema.validate(orjson.loads(example), schema)
    broken = orjson.loads(example)
    broken["data"]["buyer"] = "Ada"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema)


def test_every_event_is_documented_and_in_the_schema() -> None:
    told = {orjson.loads(one)["type"] for one in blocks("hooks.md", "json")}
    schema = orjson.loads((DOCS / "hooks.schema.json").read_bytes())
    assert told == {*EVENTS, "hook.test"} == set(schema["properties"]["type"]["enum"])


def test_a_feed_that_is_unknown_or_over_http_is_not_run(shop: Any) -> None:
    add(shop, FEEDS["wms"])
    assert shop.runs("feeds", "run", "wms").code == 2
    ran = shop.runs("feeds", "run", "erp")
    assert (ran.code, "there is wms" in ran.err) == (2, True)


class Came(list[tuple[dict[str, str], bytes]]):
    """Headers and bodies that came. arrived: one did."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived = Event()


@contextmanager
def answering(status: int, last: bytes = b"") -> Iterator[tuple[str, Came]]:
    """A real HTTP server in a thread; its address, and what came. last: what the last body holds."""
    came = Came()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            came.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(status)
            self.end_headers()
            if last in body:
                came.arrived.set()

        def log_message(self, *_given: Any) -> None:
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/in", came
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def hook(address: str, *, private: bool = True) -> str:
    allow = "allow_private = true\n" if private else ""
    return f'[[hook]]\nname = "wms"\nurl = "{address}"\nsecrets = ["{SECRET}"]\n{allow}'


def test_a_hook_is_tried_with_a_message_that_verifies(shop: Any) -> None:
    with answering(200) as (address, came):
        add(shop, hook(address))
        ran = shop.runs("hooks", "test", "wms")
    assert (ran.code, ran.err.strip()) == (0, "wms: accepted: HTTP 200.")
    headers, body = came[0]
    assert standardwebhooks.Webhook(SECRET).verify(body, headers)["data"] == {"hook": "wms"}


def test_a_hook_that_does_not_accept_is_told_with_its_answer(shop: Any) -> None:
    with answering(404) as (address, _):
        add(shop, hook(address))
        ran = shop.runs("hooks", "test", "wms", "--json")
    assert (ran.code, ran.document) == (1, {"hook": "wms", "accepted": False, "status": 404, "problem": ""})


def test_hooks_are_listed_and_replayed(shop: Any) -> None:
    add(shop, hook("https://wms.example.com/in", private=False))
    (row,) = shop.runs("hooks", "list", "--json").rows
    assert (row["state"], row["waiting"]) == ("new", 0)
    ran = shop.runs("hooks", "replay", "wms", "--since", "2026-03-01T09:00:00Z")
    assert (ran.code, "since 2026-03-01 09:00:00 UTC" in ran.err) == (0, True)
    (row,) = shop.runs("hooks", "list", "--json").rows
    assert row["state"] == "well"
    assert shop.runs("hooks", "replay", "other").code == 2


def test_a_secret_is_made_as_libraries_want_it(shop: Any) -> None:
    first, second = (shop.runs("hooks", "secret").out.strip() for _ in range(2))
    assert first != second
    standardwebhooks.Webhook(first)
    assert len(first) == len("whsec_") + 44


FAULTS = {
    "two of a name": (FEEDS["wms"] + FEEDS["wms"], "two feeds are called 'wms'"),
    "two at one folder": (FEEDS["erp"] + FEEDS["erp"].replace('"erp"', '"other"'), "look at one folder"),
    "an unknown location": (FEEDS["wms"].replace('"main"', '"moon"'), "unknown location 'moon'"),
    "no basis": (FEEDS["wms"].replace('basis = "available"\n', ""), "`basis` and what"),
    "a basis of receipts": (FEEDS["goods-in"] + 'basis = "delta"\n', "`basis` and what"),
    "no folder": (FEEDS["erp"].replace("/srv/erp/out", "erp/out"), "absolute folder"),
    "a folder over HTTP": (FEEDS["wms"] + 'place = "/srv"\n', "there is no `place`"),
    "a server without a key": (re.sub("host_keys.*\n", "", FEEDS["supplier"]), "set `host_keys`"),
    "a server with a password in its address": (FEEDS["supplier"].replace("//files", "//a:b@files"), "set `place` to"),
    "a server without a user": (re.sub("username.*\n", "", FEEDS["supplier"]), "set `username`, and"),
    "no time in the name": (re.sub("name_time.*\n", "", FEEDS["erp"]), "`name_time` and as_of"),
    "a request for a folder": (FEEDS["goods-in"] + 'as_of = "request"\n', 'is for kind = "http"'),
    "a name over HTTP": (FEEDS["wms"].replace('"request"', '"modified"'), "a file has no name"),
    "behind no moment": (FEEDS["goods-in"] + 'orders_behind = "5m"\n', "`orders_behind` counts from"),
    "an unknown column": (
        FEEDS["wms"] + 'columns = { sku = "a", units = "b", colour = "c" }\n',
        "'colour' is no column",
    ),
    "a mapping without units": (FEEDS["wms"] + 'columns = { sku = "a" }\n', "should name sku and units"),
    "an unknown encoding": (FEEDS["wms"] + 'encoding = "ebcdic-7"\n', "an encoding such as"),
    "a hook without TLS": (hook("http://wms.example.com/in"), "should begin with https://"),
    "a hook to this machine": (hook("http://127.0.0.1/in", private=False), "should begin with https://"),
    "a hook with a password": (hook("https://a:b@wms.example.com/in"), "no name, password"),
    "a hook of an empty label": (hook("https://hooks..example.com/in"), "should have a host name and a port"),
    "a hook of a long label": (hook(f"https://{'a' * 64}.example.com/in"), "should have a host name and a port"),
    "a hook of a port in words": (hook("https://wms.example.com:abc/in"), "should have a host name and a port"),
    "a hook that cannot sign": (hook("https://x.example").replace(SECRET, ""), "is empty"),
    "a hook with a short secret": (hook("https://x.example").replace(SECRET, "c2hvcnQ="), "24 to 64 bytes"),
    "a hook with no base64": (hook("https://x.example").replace(SECRET, "not-base64!"), "is not base64"),
    "a hook of no event": (hook("https://x.example") + "events = []\n", "1 or more"),
    "a hook of a wrong event": (hook("https://x.example") + 'events = ["position.change"]\n', "position.changed"),
    "a hook of one event twice": (hook("https://x.example") + 'events = ["order.changed", "order.changed"]\n', "once"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_configuration_is_told(complaints: Callable[..., list[str]], fault: str) -> None:
    text, said = FAULTS[fault]
    told = complaints(f'[[location]]\nname = "main"\n{text}', {"SUPPLIER_KEY": "key"})
    assert len(told) == 1, told
    assert said in told[0]
    assert SECRET not in told[0]


def test_secrets_of_feeds_and_hooks_are_never_shown(read_config: ReadConfig) -> None:
    text = f'[[location]]\nname = "main"\n{FEEDS["supplier"]}{hook("https://x.example/in")}'
    loaded = read_config(text, {"SUPPLIER_KEY": "a private key"})
    shown = repr(loaded) + repr([one.value for one in loaded.values]) + repr(loaded.config.hooks[0].setup)
    assert SECRET not in shown
    assert "a private key" not in shown
    assert SECRET in loaded.secrets


def test_a_daemon_takes_files_and_tells_hooks(shop: Any, tmp_path: Path, read_config: ReadConfig) -> None:
    """The parts are put together: a file in the folder changes a position, and the hook hears of it."""
    from channelsync.runtime import daemon
    from channelsync.runtime.config import load

    folder = tmp_path / "receipts"
    folder.mkdir()
    (folder / "today.csv").write_text(CSV[1])
    with answering(204, b'"MUG-RED","location":"main","on_hand":7,') as (address, came):
        add(
            shop,
            FEEDS["goods-in"].replace("/srv/wms/receipts", str(folder))
            + hook(address)
            + 'events = ["position.changed"]\n',
        )
        loaded = load(shop.config, {})

        async def work() -> None:
            stop = asyncio.Event()
            running = asyncio.create_task(daemon.run_daemon(loaded, stop=stop))
            async with asyncio.timeout(60):
                await asyncio.to_thread(came.arrived.wait, 50)
            stop.set()
            await running

        asyncio.run(work())
    told = {
        (one["data"]["sku"], one["data"]["on_hand"])
        for one in (orjson.loads(body) for _, body in came)
        if one["type"] == "position.changed"
    }
    assert told >= {("MUG-BLUE", 25), ("MUG-RED", 7)}
