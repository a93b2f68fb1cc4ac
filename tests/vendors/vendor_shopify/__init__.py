"""A Shopify shop for tests: the GraphQL Admin API 2026-10 over the lab's marketplace.

`open_vendor` opens one; `ShopifyWorld` (world.py) drives it as the connector contract asks. Written from the vendor's
schema and recorded answers alone, by other eyes than the connector's.
"""

from vendor_shopify.site import ShopifySite, open_vendor

__all__ = ["ShopifySite", "open_vendor"]
