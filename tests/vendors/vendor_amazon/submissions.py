"""Submissions to listings, single or from a feed: checked at once, applied minutes later, or never."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from channelsync.lab.marketplace_numbers import Update
from channelsync.lab.marketplace_values import NumberKey
from vendor_amazon.catalogue import DEFAULT, Catalogue, Item
from vendor_amazon.patches import ANY_TYPE, Change, Patched, issue, read_patches


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of a submission. issues: why it was not taken; none where it was."""

    issues: tuple[dict[str, Any], ...] = ()
    item: Item | None = None

    @property
    def taken(self) -> bool:
        """It is ACCEPTED, which is not to say that buyers see it."""
        return not self.issues


class Submissions:
    """Takes patches of listings."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def submit(
        self,
        sku: str,
        product_type: str,
        patches: Sequence[dict[str, Any]],
        marketplace_ids: Sequence[str],
        *,
        preview: bool = False,
    ) -> Submitted:
        """Takes the patches of one SKU. preview: only says what would be wrong. Raises ApiError.

        A SKU that is not listed is accepted too, and nothing comes of it: to Amazon that is an offer without an item
        (amzn/selling-partner-api-models issues 2797 and 4402).
        """
        patched = read_patches(patches)
        item = self._catalogue.item(sku)
        if item is not None and not set(marketplace_ids) & set(item.marketplace_ids):
            item = None
        issues = self._refusals(item, product_type, patched)
        if issues or item is None or preview:
            return Submitted(issues, item)
        for change in patched.changes:
            self._apply(item, change)
        return Submitted((), item)

    def _refusals(self, item: Item | None, product_type: str, patched: Patched) -> tuple[dict[str, Any], ...]:
        if item is not None and product_type not in (ANY_TYPE, item.product_type):
            return (issue("4000003", "The Amazon product type specified is invalid or not supported."),)
        if item is not None and item.refuses:
            return (issue("18299", item.refuses, category="QUALIFICATION_REQUIRED"),)
        return patched.issues

    def _apply(self, item: Item, change: Change) -> None:
        if change.code == DEFAULT and self._catalogue.offer(item).own:
            quantity = 0 if change.quantity is None and change.only else change.quantity
            if quantity is not None:
                self._catalogue.marketplace.push([Update(key=NumberKey(item.sku), number=quantity)])

        def applied() -> None:
            before = {} if change.only else item.availability.get(change.code, {})
            item.availability[change.code] = {**before, **change.more}
            item.updated = self._catalogue.marketplace.time()

        self._catalogue.later(applied)
