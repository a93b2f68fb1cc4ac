"""Who the seller is, whether they may sell, and where they ship from."""

from __future__ import annotations

from typing import Any

from vendor_ebay.behaviour import EbayBehaviour
from vendor_ebay.calls import Call, Handler, whole_number
from vendor_ebay.errors import Answer, Refused, inventory


class Account:
    """The calls of Identity and Account, and of the Inventory API's locations.

    registered: whether the seller's registration is complete; where it is not, nothing sells. locations: by key.
    """

    def __init__(self, seller: str, behaviour: EbayBehaviour) -> None:
        self.seller = seller
        self.registered = True
        self.locations: dict[str, dict[str, Any]] = {}
        self._behaviour = behaviour
        self.add_location("main")

    def add_location(self, key: str, *, kinds: tuple[str, ...] = ("WAREHOUSE",)) -> None:
        """A new location, enabled."""
        self.locations[key] = {
            "merchantLocationKey": key,
            "name": key.title(),
            "merchantLocationStatus": "ENABLED",
            "locationTypes": list(kinds),
            "location": {
                "locationId": f"L{len(self.locations) + 1:09}",
                "address": {"city": "San Jose", "stateOrProvince": "CA", "postalCode": "95125", "country": "US"},
            },
        }

    def handlers(self) -> dict[str, Handler]:
        """By operationId."""
        return {
            "getUser": self.user,
            "getPrivileges": self.privileges,
            "getInventoryLocations": self.every_location,
            "getInventoryLocation": self.location,
            "createInventoryLocation": self.create,
            "enableInventoryLocation": self.enable,
            "disableInventoryLocation": self.disable,
        }

    def user(self, _call: Call) -> Answer:
        """GET /commerce/identity/v1/user/"""
        return Answer(
            200,
            {
                "userId": f"u-{self.seller}",
                "username": self.seller,
                "accountType": "BUSINESS",
                "registrationMarketplaceId": self._behaviour.site,
                "status": "CONFIRMED",
            },
        )

    def privileges(self, _call: Call) -> Answer:
        """GET /sell/account/v1/privilege"""
        limit = {"amount": {"currency": self._behaviour.currency, "value": "250000.0"}, "quantity": 10_000}
        return Answer(200, {"sellerRegistrationCompleted": self.registered, "sellingLimit": limit})

    def every_location(self, call: Call) -> Answer:
        """GET /location: here `offset` counts locations."""
        limit, offset = whole_number(call.query.get("limit"), 100), whole_number(call.query.get("offset"), 0)
        if not limit or offset is None:
            raise Refused(400, inventory(25802, "Input error. limit or offset"))
        every = list(self.locations.values())
        href = f"/sell/inventory/v1/location?limit={limit}&offset={offset}"
        rows = every[offset : offset + limit]
        return Answer(200, {"href": href, "limit": limit, "offset": offset, "total": len(every), "locations": rows})

    def location(self, call: Call) -> Answer:
        """GET /location/{merchantLocationKey}"""
        return Answer(200, self._known(call))

    def create(self, call: Call) -> Answer:
        """POST /location/{merchantLocationKey}"""
        key, asked = call.arguments["merchantLocationKey"], call.json()
        if key in self.locations:
            raise Refused(409, inventory(25803, "merchantLocationKey already exists."))
        address = (asked.get("location") or {}).get("address") or {}
        if not address.get("country"):
            raise Refused(400, inventory(25801, "Missing field location.address.country."))
        self.add_location(key, kinds=tuple(asked.get("locationTypes") or ("WAREHOUSE",)))
        self.locations[key] |= {"name": asked.get("name") or key}
        self.locations[key]["merchantLocationStatus"] = asked.get("merchantLocationStatus") or "ENABLED"
        self.locations[key]["location"]["address"] = address
        return Answer(204)

    def enable(self, call: Call) -> Answer:
        """POST /location/{merchantLocationKey}/enable"""
        return self._switch(call, "ENABLED")

    def disable(self, call: Call) -> Answer:
        """POST /location/{merchantLocationKey}/disable"""
        return self._switch(call, "DISABLED")

    def _switch(self, call: Call, status: str) -> Answer:
        self._known(call)["merchantLocationStatus"] = status
        return Answer(200, {})

    def _known(self, call: Call) -> dict[str, Any]:
        found = self.locations.get(call.arguments["merchantLocationKey"])
        if found is None:
            raise Refused(404, inventory(25805, "merchantLocationKey Not Found."))
        return found
