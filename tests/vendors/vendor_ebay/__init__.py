"""A stateful eBay for tests: OAuth, Inventory, Fulfillment, Notification, Analytics, Identity, and the Trading calls.

    site = open_vendor("ebay", clock, contracts=folder)
    site.api.shop.sell_item("MUG-BLUE", 10)
    async with httpx.AsyncClient(transport=site.transport, base_url="https://api.ebay.example") as client: ...

Written from eBay's API descriptions and public documents alone, independently of the connector.
"""

from vendor_ebay.behaviour import EBAY_RULES, EbayBehaviour
from vendor_ebay.site import EbaySite, open_vendor
from vendor_ebay.world import EbayWorld

__all__ = ["EBAY_RULES", "EbayBehaviour", "EbaySite", "EbayWorld", "open_vendor"]
