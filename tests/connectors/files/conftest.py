"""Another system that writes and reads files, played on a real folder, on an SFTP server and over HTTP."""

import csv
import io
import json
import os
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from channelsync.sdk.contract import CANARY, ContractClock, Delivery, Fault, HttpFaults, Nonsense, Offered
from channelsync.sdk.resources import Resources, unused
from channelsync.sdk.values import QuantityKey
from channelsync_files import CONNECTOR
from channelsync_files.settings import FilesSettings

BERLIN = ZoneInfo("Europe/Berlin")
PER_PAGE = 3
ROWS_PER_FILE = 20
FOLDERS = ("bestellungen", "artikel", "bestand", "mengen", "quittungen")
BUYER = ("Kunde", "E-Mail", "Telefon", "Straße")


class TickingClock(ContractClock):
    """Whenever somebody waits, the other system gets on with its work."""

    def __init__(self) -> None:
        super().__init__()
        self.work = []

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        for one in self.work:
            one()


@dataclass
class Item:
    listing: str
    sku: str
    number: int
    review: str = ""
    counted: bool = True

    @property
    def told(self) -> object:
        """The number as its system tells it: nothing where it counts nothing."""
        return self.number if self.counted else ""


@dataclass
class Line:
    item: Item
    units: object
    shipped: int = 0
    returned: int = 0
    kept_back: int = 0


@dataclass
class Sale:
    id: str
    placed: datetime
    changed: datetime
    lines: list[Line] = field(default_factory=list)
    paid: bool = False
    cancelled: bool = False


class OtherSystem:
    """Sells from its own numbers: it deducts at the order, and gives back on a cancel or an edit."""

    def __init__(self, clock: ContractClock) -> None:
        self.clock = clock
        self.items: dict[str, Item] = {}
        self.sales: dict[str, Sale] = {}
        self.listed = 0

    def offer(self, sku: str, number: int) -> Item:
        self.listed += 1
        item = Item(f"A-{self.listed}", sku, number)
        self.items[item.listing] = item
        return item

    def buy(self, *lines: tuple[Item, object]) -> Sale:
        now = self.clock.now()
        sale = Sale(f"B{len(self.sales) + 1:05}", now, now, [Line(item, units) for item, units in lines])
        for item, units in lines:
            item.number -= units if isinstance(units, int) and units > 0 else 0
        self.sales[sale.id] = sale
        return sale

    def set_units(self, listing: str, units: int) -> str:
        """Why a number is not taken; empty: it is, or was ignored because nothing is counted."""
        item = self.items.get(listing)
        if item is None:
            return "unknown"
        if not item.review and item.counted:
            item.number = units
        return item.review

    def order_rows(self, sale: Sale) -> list[dict[str, object]]:
        """The sale as German columns, one row a line, with all that it knows of the buyer."""
        when = {
            "Bestellung": sale.id,
            "Datum": sale.placed.astimezone(BERLIN).strftime("%d.%m.%Y %H:%M:%S"),
            "Geändert": sale.changed.astimezone(BERLIN).strftime("%d.%m.%Y %H:%M:%S"),
            "Status": "Storniert" if sale.cancelled else "offen" if sale.paid else "unbezahlt",
            **dict(zip(BUYER, CANARY, strict=True)),
        }
        if not sale.lines:
            return [
                when | {"Pos": "", "Artikel": "", "SKU": "", "Menge": "", "Versandt": "", "Zurück": "", "Defekt": ""}
            ]
        return [
            when
            | {
                "Pos": place,
                "Artikel": line.item.listing,
                "SKU": line.item.sku,
                "Menge": line.units if isinstance(line.units, str) else f"{line.units},00",
                "Versandt": line.shipped,
                "Zurück": line.returned,
                "Defekt": line.kept_back,
            }
            for place, line in enumerate(sale.lines, 1)
        ]


ODD_UNITS = {Nonsense.FRACTION: "0,5", Nonsense.NEGATIVE: "-1"}


class SystemWorld:
    """What the contract's tests do to the other system; how it tells us is for those that inherit."""

    orders_per_page = PER_PAGE
    listings_per_page = PER_PAGE
    canaries: Collection[str] = CANARY
    secrets: Collection[str] = ()

    def __init__(self, clock: TickingClock) -> None:
        self.clock = clock
        self.system = OtherSystem(clock)

    def told(self, *sales: Sale) -> None:
        """The other system has something new to tell: these sales, and its numbers."""

    async def offer(self, sku: str, number: int) -> Offered:
        item = self.system.offer(sku, number)
        self.told()
        return Offered(item.listing, sku, QuantityKey(item.listing))

    async def remove(self, offered: Offered) -> None:
        del self.system.items[offered.listing]
        self.told()

    async def stop_counting(self, offered: Offered) -> None:
        self.system.items[offered.listing].counted = False
        self.told()

    async def number(self, key: QuantityKey) -> int | None:
        item = self.system.items.get(key.key)
        return None if item is None else item.number

    async def garble(self, offered: Offered) -> None:
        self.system.items[offered.key.key].number = "half"  # type: ignore[assignment]
        self.told()

    async def set_number(self, key: QuantityKey, number: int) -> None:
        self.system.items[key.key].number = number
        self.told()

    async def buy(self, *lines: tuple[Offered, int]) -> str:
        sale = self.system.buy(*((self.system.items[offered.listing], units) for offered, units in lines))
        self.told(sale)
        return sale.id

    async def buy_nonsense(self, nonsense: Nonsense) -> str:
        item = self.system.offer("NONSENSE", 10)
        units = () if nonsense is Nonsense.NO_LINES else ((item, ODD_UNITS[nonsense]),)
        sale = self.system.buy(*units)
        self.told(sale)
        return sale.id

    async def pay(self, order: str) -> None:
        self._sale(order).paid = True
        self.told(self._sale(order))

    async def edit(self, order: str, units: int) -> None:
        line = self._sale(order).lines[0]
        line.item.number += line.units - units
        line.units = units
        self.told(self._sale(order))

    async def cancel(self, order: str) -> None:
        sale = self._sale(order)
        sale.cancelled = True
        for line in sale.lines:
            line.item.number += line.units - line.shipped
        self.told(sale)

    async def ship(self, order: str, units: int) -> None:
        self._sale(order).lines[0].shipped += units
        self.told(self._sale(order))

    async def take_back(self, order: str, units: int) -> None:
        self._sale(order).lines[0].returned += units
        self.told(self._sale(order))

    async def keep_back(self, order: str, units: int) -> None:
        self._sale(order).lines[0].kept_back += units
        self.told(self._sale(order))

    async def refuse(self, offered: Offered, reason: str) -> None:
        self.system.items[offered.listing].review = reason

    async def fail(self, fault: Fault, *, retry_after: float | None = None) -> None:
        pytest.skip("a folder gives no such answer; what its failures mean is in test_place.py and test_sftp.py")

    async def heal(self) -> None:
        """Nothing was broken."""

    async def advance(self, by: timedelta) -> None:
        await self.clock.sleep(by.total_seconds())

    async def delivery(self, order: str) -> Delivery:
        pytest.skip("files are told of by nobody")

    def _sale(self, order: str) -> Sale:
        sale = self.system.sales[order]
        sale.changed = self.clock.now()
        return sale


class FolderWorld(SystemWorld):
    """The other system at a folder: German CSV, whole files renamed into place, numbers imported as they come."""

    suffix = "csv"
    trailer = ""

    def __init__(self, clock: TickingClock, base: Path) -> None:
        super().__init__(clock)
        self.base = base
        self.files = 0
        clock.work.append(self.work)
        self.told()

    def told(self, *sales: Sale) -> None:
        rows = [row for sale in sales for row in self.system.order_rows(sale)]
        if rows:
            self.files += 1
            self.drop("bestellungen", f"b-{self.files:04}", rows)
        items = self.system.items.values()
        names = ("Artikel", "SKU", "Name")
        self.drop(
            "artikel",
            "artikel",
            [dict(zip(names, (i.listing, i.sku, f"Ding {i.sku}"), strict=True)) for i in items],
            names,
        )
        names = ("Artikel", "Bestand")
        self.drop("bestand", "bestand", [dict(zip(names, (i.listing, i.told), strict=True)) for i in items], names)

    def drop(self, folder: str, name: str, rows: list[dict[str, object]], names: Collection[str] = ()) -> Path:
        """Writes a file as a careful system does: under another name, then renamed."""
        path = self.base / folder / f"{name}.{self.suffix}"
        part = path.with_suffix(".tmp")
        part.write_bytes(self.encoded(rows, names or list(rows[0])))
        now = self.clock.now().timestamp()
        os.utime(part, (now, now))
        return part.replace(path)

    def encoded(self, rows: list[dict[str, object]], names: Collection[str]) -> bytes:
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, list(names), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue().encode("cp1252")

    def decoded(self, content: bytes) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(content.decode("cp1252"), newline=""), delimiter=";"))

    def work(self) -> None:
        """Imports what we have written, acknowledges it row by row, and exports its numbers."""
        for path in sorted((self.base / "mengen").glob(f"*.{self.suffix}")):
            rows = [
                {"Artikel": row["Artikel"], "Datei": row["Datei"], "Ergebnis": "Fehler" if why else "OK", "Grund": why}
                for row in self.decoded(path.read_bytes())
                for why in [self.system.set_units(row["Artikel"], int(row["Menge"]))]
            ]
            path.rename(path.with_suffix(".imported"))
            self.drop("quittungen", path.stem, rows)
        self.told()


class LinesWorld(FolderWorld):
    """The same with JSON lines that end with a trailer."""

    suffix = "jsonl"

    def encoded(self, rows: list[dict[str, object]], names: Collection[str]) -> bytes:
        return ("".join(json.dumps(row) + "\n" for row in rows) + "# end\n").encode()

    def decoded(self, content: bytes) -> list[dict[str, str]]:
        return [json.loads(line) for line in content.decode().splitlines()]


def sections(**how: object) -> dict[str, object]:
    """The sections that fit `FolderWorld`. how: what all its files have in common."""
    ours = {name: value for name, value in how.items() if name in ("format", "encoding", "delimiter")}
    return {
        "orders": {
            "path": "bestellungen",
            **how,
            "decimal": ",",
            "time_format": "%d.%m.%Y %H:%M:%S",
            "time_zone": "Europe/Berlin",
            "per_page": PER_PAGE,
            "columns": {
                "order": "Bestellung",
                "line": "Pos",
                "listing": "Artikel",
                "sku": "SKU",
                "units": "Menge",
                "status": "Status",
                "placed_at": "Datum",
                "changed_at": "Geändert",
                "shipped": "Versandt",
                "returned": "Zurück",
                "withheld": "Defekt",
            },
            "statuses": {"offen": "reserve", "unbezahlt": "wait", "storniert": "cancel"},
        },
        "listings": {"path": "artikel", **how, "columns": {"listing": "Artikel", "sku": "SKU", "title": "Name"}},
        "numbers": {"path": "bestand", **how, "columns": {"key": "Artikel", "number": "Bestand"}},
        "quantities": {
            "path": "mengen",
            **ours,
            "name": f"mengen-{{number}}.{how['format']}",
            "rows_per_file": ROWS_PER_FILE,
            "columns": {"listing": "Artikel", "units": "Menge", "file": "Datei"},
        },
        "acknowledgements": {
            "path": "quittungen",
            **how,
            "columns": {"key": "Artikel", "file": "Datei", "status": "Ergebnis", "reason": "Grund"},
            "accepted": ["OK"],
            "refused": ["Fehler"],
        },
    }


BEHAVES = {"applies": "in order", "grace_s": 30, "staleness_s": 60, "skew_s": 1, "order_visibility_s": 1}
"""How the other system behaves, in [channel.settings]."""


@pytest.fixture
def clock() -> TickingClock:
    return TickingClock()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """The folder that both sides share."""
    for name in FOLDERS:
        (tmp_path / "place" / name).mkdir(parents=True)
    return tmp_path / "place"


@pytest.fixture
def world(clock: TickingClock, base: Path) -> FolderWorld:
    return FolderWorld(clock, base)


@pytest.fixture
def channel_settings(base: Path) -> FilesSettings:
    how = {"format": "csv", "encoding": "cp1252", "delimiter": ";"}
    return FilesSettings.model_validate({"place": str(base), **BEHAVES, **sections(**how)})


@pytest.fixture
def lines_world(clock: TickingClock, base: Path) -> LinesWorld:
    return LinesWorld(clock, base)


@pytest.fixture
def lines_sections() -> dict[str, object]:
    return {**BEHAVES, **sections(format="jsonl", complete="trailer", trailer="# end")}


@pytest.fixture
def behaves() -> dict[str, object]:
    return dict(BEHAVES)


@pytest.fixture
async def sftp_server(base: Path) -> AsyncIterator[dict[str, object]]:
    """A real SFTP server at `base`: what the settings say of it."""
    asyncssh = pytest.importorskip("asyncssh", reason="the extra `sftp` is not installed")

    class Door(asyncssh.SSHServer):
        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return (username, password) == ("till", "till-password-1")

    key = asyncssh.generate_private_key("ssh-ed25519")
    listening = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Door,
        server_host_keys=[key],
        sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(base).encode()),
    )
    async with listening:
        yield {
            "place": f"sftp://127.0.0.1:{listening.get_port()}/",
            "username": "till",
            "password": "till-password-1",
            "host_keys": [key.export_public_key().decode().strip()],
        }


class HttpWorld(SystemWorld):
    """The other system over HTTP: JSON, orders with their lines inside, numbers in its listings."""

    def __init__(self, clock: TickingClock, faults: HttpFaults | None) -> None:
        super().__init__(clock)
        self.faults = faults
        self.changes = 0
        self.requests: list[tuple[str, str, int]] = []

    def told(self, *sales: Sale) -> None:
        self.changes += 1

    async def refuse(self, offered: Offered, reason: str) -> None:
        self.system.items[offered.listing].review = reason

    async def fail(self, fault: Fault, *, retry_after: float | None = None) -> None:
        self.faults.fail(fault, retry_after=retry_after)

    async def heal(self) -> None:
        self.faults.heal()

    async def app(self, scope, receive, send) -> None:
        """Its server."""
        if scope["type"] != "http":
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        status, given, answer = self._answer(scope, headers, body)
        self.requests.append((scope["method"], scope["path"], status))
        content = b"" if answer is None else json.dumps(answer).encode()
        given = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode()), *given]
        await send({"type": "http.response.start", "status": status, "headers": given})
        await send({"type": "http.response.body", "body": content})

    def _answer(self, scope, headers, body):
        if headers.get("authorization") != "Bearer till-token-1":
            return 401, [], {"error": "who are you"}
        place = (scope["method"], scope["path"])
        if place == ("GET", "/api/orders"):
            since = scope["query_string"].decode().partition("since=")[2].replace("%3A", ":")
            since = datetime.fromisoformat(since)
            found = [sale for sale in self.system.sales.values() if sale.changed >= since]
            return 200, [], {"data": {"orders": [self._order(sale) for sale in found]}}
        if place == ("GET", "/api/items"):
            tag = f'"{self.changes}"'
            if headers.get("if-none-match") == tag:
                return 304, [(b"etag", tag.encode())], None
            rows = [{"id": i.listing, "sku": i.sku, "available": i.told} for i in self.system.items.values()]
            return 200, [(b"etag", tag.encode())], {"items": rows}
        if place == ("POST", "/api/quantities"):
            rows = json.loads(body)
            results = [(row["id"], self.system.set_units(row["id"], row["available"])) for row in rows]
            self.changes += 1
            told = [{"id": name, "result": "refused" if why else "ok", "why": why} for name, why in results]
            return 200, [], {"results": told}
        return 404, [], {"error": "no such place"}

    def _order(self, sale: Sale) -> dict[str, object]:
        return {
            "id": sale.id,
            "created": sale.placed.isoformat(),
            "updated": sale.changed.isoformat(),
            "state": "cancelled" if sale.cancelled else "open" if sale.paid else "unpaid",
            "buyer": dict(zip(("name", "email", "phone", "street"), CANARY, strict=True)),
            "items": [
                {
                    "no": place,
                    "item": {"id": line.item.listing, "sku": line.item.sku},
                    "units": float(line.units.replace(",", ".")) if isinstance(line.units, str) else line.units,
                    "shipped": line.shipped,
                    "returned": line.returned,
                    "damaged": line.kept_back,
                }
                for place, line in enumerate(sale.lines, 1)
            ],
        }


def http_settings(address: str, **more: object) -> FilesSettings:
    """The settings that fit `HttpWorld`."""
    return FilesSettings.model_validate(
        {
            "place": f"{address}/api",
            "token": "till-token-1",
            **BEHAVES,
            "order_overlap_s": 10,
            "orders": {
                "path": "orders?since={since}",
                "format": "json",
                "rows": "data.orders",
                "lines": "items",
                "per_page": PER_PAGE,
                "columns": {
                    "order": "id",
                    "line": "no",
                    "listing": "item.id",
                    "sku": "item.sku",
                    "units": "units",
                    "status": "state",
                    "placed_at": "created",
                    "changed_at": "updated",
                    "shipped": "shipped",
                    "returned": "returned",
                    "withheld": "damaged",
                },
                "statuses": {"open": "reserve", "unpaid": "wait", "cancelled": "cancel"},
            },
            "listings": {
                "path": "items",
                "format": "json",
                "rows": "items",
                "columns": {"listing": "id", "sku": "sku", "number": "available"},
            },
            "quantities": {
                "path": "quantities",
                "format": "json",
                "rows_per_file": ROWS_PER_FILE,
                "columns": {"listing": "id", "units": "available"},
            },
            "acknowledgements": {
                "path": "quantities",
                "format": "json",
                "rows": "results",
                "columns": {"key": "id", "status": "result", "reason": "why"},
            },
            **more,
        }
    )


@pytest.fixture
def http_settings_at():
    """Makes the settings for an address."""
    return http_settings


@pytest.fixture
def http_world_class():
    return HttpWorld


@pytest.fixture
def resources(channel_settings: FilesSettings, clock: TickingClock) -> Resources:
    return unused("till", CONNECTOR.budgets(channel_settings), clock)
