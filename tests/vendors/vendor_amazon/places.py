"""Amazon's marketplaces as far as the tests need them, and who sells there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vendor_amazon.errors import ApiError


@dataclass(frozen=True, slots=True)
class Place:
    """One marketplace. fba: what Amazon's own fulfilment network is called there."""

    id: str
    country: str
    name: str
    currency: str
    language: str
    domain: str
    fba: str


UK = Place("A1F83G8C2ARO7P", "GB", "Amazon.co.uk", "GBP", "en_GB", "www.amazon.co.uk", "AMAZON_EU")
GERMANY = Place("A1PA6795UKMFR9", "DE", "Amazon.de", "EUR", "de_DE", "www.amazon.de", "AMAZON_EU")
USA = Place("ATVPDKIKX0DER", "US", "Amazon.com", "USD", "en_US", "www.amazon.com", "AMAZON_NA")

CANADA = Place("A2EUQ1WTGCTBG2", "CA", "Amazon.ca", "CAD", "en_CA", "www.amazon.ca", "AMAZON_NA")
BRAZIL = Place("A2Q3Y263D00KWC", "BR", "Amazon.com.br", "BRL", "pt_BR", "www.amazon.com.br", "AMAZON_NA")
JAPAN = Place("A1VC38T7YXB528", "JP", "Amazon.co.jp", "JPY", "ja_JP", "www.amazon.co.jp", "AMAZON_JP")
TURKEY = Place("A33AVAJ2PDY3EV", "TR", "Amazon.com.tr", "TRY", "tr_TR", "www.amazon.com.tr", "AMAZON_EU")

PLACES = {place.id: place for place in (UK, GERMANY, USA, CANADA, BRAZIL, JAPAN, TURKEY)}


@dataclass(frozen=True, slots=True)
class SellerAccount:
    """A seller that has authorised our application. sees_buyers: it has the role for buyers' data."""

    seller_id: str
    title: str
    marketplace_ids: tuple[str, ...]
    client_id: str
    client_secret: str
    refresh_token: str
    sees_buyers: bool = False

    @property
    def places(self) -> tuple[Place, ...]:
        """Where it sells."""
        return tuple(PLACES[each] for each in self.marketplace_ids)

    def check(self, ids: Sequence[str]) -> None:
        """Raises ApiError where the seller does not sell in one of these marketplaces, or none is named."""
        if not ids or not set(ids) <= set(self.marketplace_ids):
            raise ApiError(400, "InvalidInput", f"Invalid 'marketplaceIds' provided: {', '.join(ids)}")
