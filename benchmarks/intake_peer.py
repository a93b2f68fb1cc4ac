"""The peer of order intake: django-oscar's `StockRecord.allocate`, from PyPI, on the same kinds of database.

One operation is what a program writes that takes an order for one unit: in one transaction, the record of a SKU is
looked up and `allocate(1)` is called on it. It checks no availability, keeps no order and writes no ledger row, so
it does less than an order intake does.

Django is set up in a process of its own, once for each database (`python -m benchmarks.intake_peer ADDRESS SKUS`),
which is told over standard input what to run. Senders are processes, as a Django site has them.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from typing import Any
from urllib.parse import parse_qs, urlsplit

from benchmarks.contenders import Elsewhere, Load, elsewhere
from benchmarks.scene import PLENTY

OSCAR = (
    "analytics",
    "checkout",
    "address",
    "shipping",
    "catalogue",
    "communication",
    "partner",
    "basket",
    "payment",
    "offer",
    "order",
    "customer",
    "search",
    "voucher",
    "wishlists",
)
"""The apps of oscar whose models refer to one another; its dashboard is left out."""

DJANGO = ("auth", "contenttypes", "sessions", "sites", "flatpages")
OTHERS = ("treebeard", "haystack", "django_tables2", "widget_tweaks")


@asynccontextmanager
async def peer(url: str, skus: int) -> AsyncIterator[Elsewhere]:
    """django-oscar on an empty database, with so many SKUs. Raises AssertionError when its counters do not add up."""
    async with elsewhere(__name__, url, str(skus)) as told:
        await told.rate(Load(senders=1, skus=1, seconds=0.1))
        yield told
        counted = await told.ask(0)
        assert counted == told.booked, f"{counted} units are allocated after {told.booked} allocations"


def _main() -> None:
    """The peer's own process: sets Django up, makes the tables, then runs what standard input asks for."""
    _set_up(sys.argv[1], int(sys.argv[2]))
    for line in sys.stdin:
        told = json.loads(line)
        print(json.dumps(_run(Load(**told)) if told else _allocated()), flush=True)


def _set_up(url: str, skus: int) -> None:
    import django
    from django.apps import apps
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connections
    from oscar import defaults

    shop = {name: getattr(defaults, name) for name in dir(defaults) if name.startswith("OSCAR_")}
    installed = (
        *(f"django.contrib.{name}" for name in DJANGO),
        *(f"oscar.apps.{name}.apps.{name.title()}Config" for name in OSCAR),
        "oscar.apps.catalogue.reviews.apps.CatalogueReviewsConfig",
        *OTHERS,
    )
    labels = (*DJANGO, *OSCAR, *OTHERS, "reviews")
    settings.configure(
        DATABASES={"default": _database(url)},
        INSTALLED_APPS=installed,
        MIGRATION_MODULES=dict.fromkeys(labels),  # the tables as they are now, made in one go
        HAYSTACK_CONNECTIONS={"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}},
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        SECRET_KEY="bench",  # noqa: S106 - guards nothing
        SITE_ID=1,
        USE_TZ=True,
        **shop,
    )
    django.setup()
    call_command("migrate", run_syncdb=True, skip_checks=True, verbosity=0)
    kind = apps.get_model("catalogue", "ProductClass").objects.create(name="thing", track_stock=True)
    partner = apps.get_model("partner", "Partner").objects.create(name="seller")
    things = apps.get_model("catalogue", "Product")
    for number in range(skus):
        thing = things.objects.create(title=f"SKU {number}", upc=str(number), product_class=kind)
        _records().create(product=thing, partner=partner, partner_sku=f"SKU-{number}", num_in_stock=PLENTY)
    connections.close_all()


def _database(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        durable = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL"
        options = {"init_command": durable, "transaction_mode": "IMMEDIATE", "timeout": 60}
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": parts.path.removeprefix("/"), "OPTIONS": options}
    host = parse_qs(parts.query)["host"][0]
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.removeprefix("/"),
        "USER": parts.username,
        "HOST": host,
        "CONN_MAX_AGE": None,
    }


def _records() -> Any:
    from django.apps import apps

    return apps.get_model("partner", "StockRecord").objects


def _run(load: Load) -> tuple[int, float]:
    """(allocations, seconds), with a process for each sender; all begin together."""
    context = multiprocessing.get_context("fork")
    done: SimpleQueue[tuple[int, float]] = context.SimpleQueue()
    ready = context.Barrier(load.senders)
    senders = [context.Process(target=_send, args=(load, seed, ready, done)) for seed in range(load.senders)]
    for sender in senders:
        sender.start()
    results = [done.get() for _ in senders]
    for sender in senders:
        sender.join()
    return sum(count for count, _ in results), max(seconds for _, seconds in results)


def _send(load: Load, seed: int, ready: Barrier, done: SimpleQueue[tuple[int, float]]) -> None:
    from django.db import connections, transaction

    dice = random.Random(seed)
    records = _records()
    records.get(partner_sku="SKU-0")  # the connection is made before the time begins
    ready.wait()
    began = time.perf_counter()
    count = 0
    while time.perf_counter() < began + load.seconds:
        with transaction.atomic():
            records.get(partner_sku=f"SKU-{dice.randrange(load.skus)}").allocate(1)
        count += 1
    done.put((count, time.perf_counter() - began))
    connections.close_all()


def _allocated() -> int:
    from django.db.models import Sum

    return int(_records().aggregate(units=Sum("num_allocated"))["units"])


if __name__ == "__main__":
    _main()
