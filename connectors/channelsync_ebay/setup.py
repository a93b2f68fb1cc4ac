"""What the account must be set to: permissions, consent, registration, out-of-stock control, locations, limits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from channelsync.sdk.clock import Clock
from channelsync.sdk.connecting import CheckPoint
from channelsync.sdk.vault import Vault
from channelsync_ebay.access import OPTIONAL_SCOPES, REFRESH_TOKEN_UNTIL, SCOPES, Access
from channelsync_ebay.client import EbayClient
from channelsync_ebay.settings import EbaySettings
from channelsync_ebay.trading import Trading

_WARN_BEFORE = timedelta(days=60)


async def inspected(
    settings: EbaySettings, client: EbayClient, access: Access, trading: Trading, vault: Vault, clock: Clock
) -> Sequence[CheckPoint]:
    """What can be set wrongly at eBay."""
    points = [
        await _permissions(access, settings.extra_scopes),
        *await _consent_end(vault, clock.now()),
        await _seller(client),
    ]
    if settings.legacy_listings:
        points.append(await _out_of_stock(trading))
    points += [await _locations(client), await _limits(client)]
    return points


async def _permissions(access: Access, extra: Sequence[str]) -> CheckPoint:
    missing = await access.lacking([*SCOPES, *extra])
    names = ", ".join(scope.rpartition("/")[2] for scope in missing)
    needed = [scope for scope in missing if scope not in {*OPTIONAL_SCOPES, *extra}]
    if needed:
        return CheckPoint("permissions", f"The consent does not hold: {names}.", "Connect the account anew.")
    if missing:
        return CheckPoint("permissions", f"All that is needed is there; for notifications {names} is missing.")
    return CheckPoint("permissions", "The consent holds all that is needed.")


async def _consent_end(vault: Vault, now: datetime) -> list[CheckPoint]:
    kept = await vault.get(REFRESH_TOKEN_UNTIL)
    try:
        until = None if kept is None else datetime.fromisoformat(kept.get_secret_value())
    except ValueError:
        until = None
    if until is None:
        return []
    found = f"The seller's consent ends on {until:%Y-%m-%d}."
    advice = "Connect the account anew before it ends." if until - now < _WARN_BEFORE else ""
    return [CheckPoint("consent", found, advice)]


async def _seller(client: EbayClient) -> CheckPoint:
    found = await client.privileges()
    if not found.seller_registration_completed:
        return CheckPoint(
            "seller",
            "The seller's registration at eBay is not complete.",
            "Complete it on eBay, or nothing can be sold.",
        )
    limit = found.selling_limit.quantity if found.selling_limit is not None else None
    told = "without a monthly limit" if limit is None else f"up to {limit} units a month"
    return CheckPoint("seller", f"The seller is registered and may sell {told}.")


async def _out_of_stock(trading: Trading) -> CheckPoint:
    if await trading.out_of_stock_control():
        return CheckPoint("out-of-stock control", "Listings stay alive at 0.")
    return CheckPoint(
        "out-of-stock control",
        "Listings that are not migrated cannot be set to 0.",
        "Switch on out-of-stock control in eBay's selling preferences.",
    )


async def _locations(client: EbayClient) -> CheckPoint:
    found = await client.locations()
    enabled = [one.merchant_location_key for one in found.locations if one.merchant_location_status == "ENABLED"]
    if enabled:
        return CheckPoint("locations", f"{len(enabled)} of {found.total} are enabled: {', '.join(enabled[:5])}.")
    return CheckPoint(
        "locations",
        f"None of {found.total} is enabled.",
        "Nothing is to be done unless you list by the Inventory API: then enable one.",
    )


async def _limits(client: EbayClient) -> CheckPoint:
    left = await client.left_today()
    if not left:
        return CheckPoint("daily limits", "eBay tells none.")
    told = ", ".join(f"{bucket} {remaining} of {limit}" for bucket, remaining, limit in left)
    spent = [bucket for bucket, remaining, _ in left if remaining <= 0]
    advice = f"Ask eBay for a higher limit: {', '.join(spent)} is used up for today." if spent else ""
    return CheckPoint("daily limits", f"Calls left: {told}.", advice)
