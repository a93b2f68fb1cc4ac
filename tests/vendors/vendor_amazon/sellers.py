"""The Sellers API: where the seller sells."""

from __future__ import annotations

from vendor_amazon.ask import Answer, Ask, Call
from vendor_amazon.places import SellerAccount


class Sellers:
    """The calls that tell about the seller."""

    def __init__(self, account: SellerAccount) -> None:
        self._account = account

    def calls(self) -> dict[str, Call]:
        """Its operations by id."""
        return {"getMarketplaceParticipations": self.participations}

    def participations(self, ask: Ask) -> Answer:
        """All marketplaces of the seller."""
        del ask
        return Answer(
            {
                "payload": [
                    {
                        "marketplace": {
                            "id": place.id,
                            "name": place.name,
                            "countryCode": place.country,
                            "defaultCurrencyCode": place.currency,
                            "defaultLanguageCode": place.language,
                            "domainName": place.domain,
                        },
                        "participation": {"isParticipating": True, "hasSuspendedListings": False},
                        "storeName": self._account.title,
                    }
                    for place in self._account.places
                ]
            }
        )
