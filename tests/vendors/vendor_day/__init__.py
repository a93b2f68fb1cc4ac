"""The day of the demo on Shopify, WooCommerce, Amazon and eBay at once, against the vendors' test servers.

`play_day` (day.py) plays it and tells what it came to; `channel_figures` (figures.py) makes figures of that. Needs the
vendors' contracts, which are no part of the repository.
"""

from vendor_day.day import DayOptions, Played, play_day

__all__ = ["DayOptions", "Played", "play_day"]
