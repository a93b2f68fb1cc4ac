"""Amazon's Selling Partner API as a test server: one seller over a marketplace of the lab."""

from vendor_amazon.habits import AMAZON_RULES, AmazonHabits
from vendor_amazon.rates import Rate
from vendor_amazon.site import AmazonSite, a_seller, open_vendor

__all__ = ["AMAZON_RULES", "AmazonHabits", "AmazonSite", "Rate", "a_seller", "open_vendor"]
