"""The buyer of an order: the canaries of the contract in every field that tells of one."""

from __future__ import annotations

from typing import Any

from channelsync.sdk.contract.world import CANARY

NAME, EMAIL, PHONE, STREET = CANARY
FIRST, LAST = NAME.split()


def address() -> dict[str, Any]:
    """A MailingAddress."""
    return {
        "__typename": "MailingAddress",
        "id": "gid://shopify/MailingAddress/1?model_name=Address",
        "name": NAME,
        "firstName": FIRST,
        "lastName": LAST,
        "company": NAME,
        "address1": STREET,
        "address2": NAME,
        "city": LAST,
        "zip": STREET,
        "province": LAST,
        "provinceCode": None,
        "country": "Germany",
        "countryCode": "DE",
        "countryCodeV2": "DE",
        "phone": PHONE,
        "formatted": [NAME, STREET, LAST],
        "formattedArea": LAST,
        "latitude": None,
        "longitude": None,
        "coordinatesValidated": False,
        "timeZone": None,
        "validationResultSummary": None,
    }


def destination() -> dict[str, Any]:
    """A FulfillmentOrderDestination."""
    return {
        "__typename": "FulfillmentOrderDestination",
        "id": "gid://shopify/FulfillmentOrderDestination/1",
        "firstName": FIRST,
        "lastName": LAST,
        "email": EMAIL,
        "phone": PHONE,
        "address1": STREET,
        "address2": None,
        "city": LAST,
        "zip": STREET,
        "company": NAME,
        "province": LAST,
        "countryCode": "DE",
        "location": None,
    }


def customer(number: str) -> dict[str, Any]:
    """A Customer."""
    return {
        "__typename": "Customer",
        "id": f"gid://shopify/Customer/{number}",
        "legacyResourceId": number,
        "firstName": FIRST,
        "lastName": LAST,
        "displayName": NAME,
        "email": EMAIL,
        "phone": PHONE,
        "note": NAME,
        "tags": [],
        "defaultAddress": address(),
        "addresses": [address()],
    }


def of_order(number: str) -> dict[str, Any]:
    """The fields of an Order that tell of its buyer."""
    return {
        "email": EMAIL,
        "phone": PHONE,
        "note": f"{NAME} lives at {STREET}",
        "poNumber": NAME,
        "clientIp": "203.0.113.7",
        "customerLocale": "en",
        "customAttributes": [{"key": "gift message", "value": f"For {NAME}"}],
        "customer": customer(number),
        "billingAddress": address(),
        "shippingAddress": address(),
        "displayAddress": address(),
    }


def rest() -> dict[str, Any]:
    """The same in a webhook's payload."""
    where = {
        "first_name": FIRST,
        "last_name": LAST,
        "name": NAME,
        "address1": STREET,
        "phone": PHONE,
        "city": LAST,
        "zip": STREET,
        "country_code": "DE",
    }
    return {
        "email": EMAIL,
        "contact_email": EMAIL,
        "phone": PHONE,
        "note": f"{NAME} lives at {STREET}",
        "note_attributes": [{"name": "gift message", "value": f"For {NAME}"}],
        "browser_ip": "203.0.113.7",
        "customer": {"id": 1, "email": EMAIL, "first_name": FIRST, "last_name": LAST, "phone": PHONE},
        "billing_address": where,
        "shipping_address": where,
    }
