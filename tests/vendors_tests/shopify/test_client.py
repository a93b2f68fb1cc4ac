"""Shopify's own client for Node talks to the shop on a socket: a second judge of the server."""

import asyncio
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from channelsync.lab.virtual_time import loopback_server
from channelsync.sdk.clock import SystemClock
from vendor_shopify import open_vendor
from vendor_shopify.shop import BASE

JUDGE = Path(__file__).parent / "judge"


@pytest.mark.skipif(
    shutil.which("node") is None or not (JUDGE / "node_modules").is_dir(),
    reason="Shopify's client is not installed: `make judges` installs it, where npm is there",
)
async def test_shopifys_own_client_reads_and_writes(contracts: Path) -> None:
    rules = replace(BASE, visibility=(0.0, 0.0))
    site = open_vendor("corner-shop", SystemClock(), contracts=contracts, rules=rules)
    mug = site.shop.catalogue.offer("MUG", 5)
    site.marketplace.buy(mug.listing, 2)
    (key,) = mug.keys
    async with loopback_server(site.app) as url:
        judge = await asyncio.create_subprocess_exec(
            *("node", JUDGE / "judge.mjs", url, site.shop.access.lasting_token(), key.key, key.location),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await judge.communicate()
    assert judge.returncode == 0, err.decode()
    assert json.loads(out) == {
        "sold": [[["MUG", 2]]],
        "changes": [{"name": "available", "delta": 6}, {"name": "on_hand", "delta": 6}],
        "userErrors": [],
        "throttled": True,
        "wrong": "undefinedField",
        "stranger": 401,
    }
