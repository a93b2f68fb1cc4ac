"""The Listings Items API 2021-08-01: one listing, a search of at most a thousand, and patches."""

from __future__ import annotations

import random
from collections.abc import Collection
from datetime import timedelta
from typing import Any
from uuid import UUID

from channelsync.lab.faults import FaultKind
from vendor_amazon.ask import Answer, Ask, Call, from_token, token_of, whole
from vendor_amazon.catalogue import Catalogue, Item
from vendor_amazon.errors import ApiError, denied
from vendor_amazon.listings_json import item_json
from vendor_amazon.patches import issue
from vendor_amazon.submissions import Submissions, Submitted

FOUND_MAX = 1_000
"""Items that a search pages through; of the others it tells only how many there are."""

_TOKENS_LIVE = timedelta(days=1)


class Listings:
    """The calls that read and change listings."""

    def __init__(self, catalogue: Catalogue, submissions: Submissions, rng: random.Random) -> None:
        self._catalogue = catalogue
        self._submissions = submissions
        self._rng = rng

    def calls(self) -> dict[str, Call]:
        """Its operations by id."""
        return {
            "getListingsItem": self.get,
            "searchListingsItems": self.search,
            "patchListingsItem": self.patch,
        }

    def get(self, ask: Ask) -> Answer:
        """One listing."""
        ids = self._places(ask)
        item = self._catalogue.item(ask.text("sku"))
        if item is None or not set(ids) & set(item.marketplace_ids):
            raise ApiError(404, "NOT_FOUND", f"SKU '{ask.text('sku')}' not found in marketplace {', '.join(ids)}")
        return Answer(item_json(self._catalogue, item, ids, ask.texts("includedData") or ("summaries",)))

    def search(self, ask: Ask) -> Answer:
        """A page of listings."""
        ids = self._places(ask)
        self._check_search(ask)
        found = [item for item in self._catalogue.items() if self._matches(item, ids, ask)]
        found.sort(key=lambda item: item.sku)
        by = {"createdDate": lambda item: item.created, "lastUpdatedDate": lambda item: item.updated}
        if ask.text("sortBy") in by:
            found.sort(key=by[ask.text("sortBy")], reverse=ask.text("sortOrder") == "DESC")
        elif ask.text("sortOrder") == "DESC":
            found.reverse()
        start = 0
        if token := ask.text("pageToken"):
            start = int(from_token(token, "pageToken", _TOKENS_LIVE, ask.now)["start"])
        size = int(ask.given["pageSize"])
        page = found[start : min(start + size, FOUND_MAX)]
        if ask.fault is not None and ask.fault.kind is FaultKind.ROWS_TWICE:
            page = [*page, *page[:1]]
        tokens = {}
        more = start + size < min(len(found), FOUND_MAX)
        if more:
            stays = ask.fault is not None and ask.fault.kind is FaultKind.SAME_CURSOR
            tokens["nextToken"] = self._token(start if stays else start + size, ask)
        if start:
            tokens["previousToken"] = self._token(max(0, start - size), ask)
        included = ask.texts("includedData") or ("summaries",)
        items = [item_json(self._catalogue, item, ids, included) for item in page]
        return Answer({"numberOfResults": len(found), **({"pagination": tokens} if tokens else {}), "items": items})

    def _token(self, start: int, ask: Ask) -> str:
        return token_of("pageToken", {"start": start, "at": ask.now.isoformat()})

    def _check_search(self, ask: Ask) -> None:
        if bool(ask.texts("identifiers")) != bool(ask.text("identifiersType")):
            raise ApiError(400, "InvalidInput", "'identifiers' and 'identifiersType' must be provided together.")
        kinds = [name for name in ("identifiers", "variationParentSku", "packageHierarchySku") if ask.given.get(name)]
        if len(kinds) > 1:
            raise ApiError(400, "InvalidInput", f"Only one of {', '.join(kinds)} may be provided.")

    def _matches(self, item: Item, ids: Collection[str], ask: Ask) -> bool:
        here = [each for each in item.marketplace_ids if each in ids]
        if not here or ask.given.get("variationParentSku") or ask.given.get("packageHierarchySku"):
            return False
        if names := ask.texts("identifiers"):
            known = {"SKU": item.sku, "ASIN": item.asin}.get(ask.text("identifiersType"))
            if known not in names:
                return False
        severities, wanted = ask.texts("withIssueSeverity"), ask.texts("withStatus")
        return (
            self._within(ask, "created", item)
            and self._within(ask, "lastUpdated", item)
            and (not wanted or bool(self._statuses(item, here) & set(wanted)))
            and (not ask.texts("withoutStatus") or not self._statuses(item, here) & set(ask.texts("withoutStatus")))
            and (not severities or bool({str(each["severity"]) for each in item.issues} & set(severities)))
        )

    def _statuses(self, item: Item, ids: Collection[str]) -> set[str]:
        return {status for each in ids for status in self._catalogue.statuses(item, each)}

    def _within(self, ask: Ask, what: str, item: Item) -> bool:
        at = whole(item.created if what == "created" else item.updated)
        after, before = ask.moment(f"{what}After"), ask.moment(f"{what}Before")
        return (after is None or at >= after) and (before is None or at <= before)

    def patch(self, ask: Ask) -> Answer:
        """Takes a change of attributes: ACCEPTED, or INVALID with its issues; VALID for a preview."""
        ids = self._places(ask)
        preview = ask.text("mode") == "VALIDATION_PREVIEW"
        included = ask.texts("includedData") or ("issues",)
        if "identifiers" in included and not preview:
            raise ApiError(400, "InvalidInput", "'identifiers' can only be requested when mode is VALIDATION_PREVIEW.")
        sku = ask.text("sku")
        if ask.fault is not None and ask.fault.kind is FaultKind.PARTIAL:
            done = Submitted((issue("4000001", "An internal error occurred. Try again later.", category="OTHER"),))
        else:
            done = self._submissions.submit(
                sku, str(ask.body["productType"]), ask.body["patches"], ids, preview=preview
            )
        status = "INVALID" if not done.taken else "VALID" if preview else "ACCEPTED"
        answer: dict[str, Any] = {
            "sku": sku,
            "status": status,
            "submissionId": UUID(int=self._rng.getrandbits(128)).hex,
        }
        if "issues" in included:
            answer["issues"] = list(done.issues)
        if "identifiers" in included:
            answer["identifiers"] = [{"marketplaceId": each, "asin": done.item.asin} for each in ids if done.item]
        return Answer(answer)

    def _places(self, ask: Ask) -> tuple[str, ...]:
        """The marketplaces asked for. Raises ApiError for another's seller id, or where the seller does not sell."""
        account = self._catalogue.account
        if ask.text("sellerId") != account.seller_id:
            raise denied()
        ids = ask.texts("marketplaceIds")
        account.check(ids)
        return ids
