"""The reports that this server makes, and their columns as Amazon names them.

The columns of the stranded and the suppressed listings are from memory; those of returns and of all listings are
those that public readers of the reports expect.
"""

from __future__ import annotations

from collections.abc import Mapping

ALL_LISTINGS = "GET_MERCHANT_LISTINGS_ALL_DATA"
INACTIVE = "GET_MERCHANT_LISTINGS_INACTIVE_DATA"
SUPPRESSED = "GET_MERCHANTS_LISTINGS_FYP_REPORT"
STRANDED = "GET_STRANDED_INVENTORY_UI_DATA"
RETURNS = "GET_FLAT_FILE_RETURNS_DATA_BY_RETURN_DATE"

_LISTINGS = (
    "item-name\titem-description\tlisting-id\tseller-sku\tprice\tquantity\topen-date\timage-url\titem-is-marketplace\t"
    "product-id-type\tzshop-shipping-fee\titem-note\titem-condition\tzshop-category1\tzshop-browse-path\t"
    "zshop-storefront-feature\tasin1\tasin2\tasin3\twill-ship-internationally\texpedited-shipping\tzshop-boldface\t"
    "product-id\tbid-for-featured-placement\tadd-delete\tpending-quantity\tfulfillment-channel\t"
    "merchant-shipping-group"
)
COLUMNS: Mapping[str, tuple[str, ...]] = {
    ALL_LISTINGS: tuple(f"{_LISTINGS}\tstatus".split("\t")),
    INACTIVE: tuple(_LISTINGS.split("\t")),
    SUPPRESSED: ("Status", "Reason", "SKU", "ASIN", "Product name", "Condition", "Status Change Date", "Issue"),
    STRANDED: (
        "primary-action",
        "date-stranded",
        "Date-to-take-auto-removal",
        "status-primary",
        "status-secondary",
        "error-message",
        "stranded-reason",
        "asin",
        "sku",
        "fnsku",
        "product-name",
        "condition",
        "fulfilled-by",
        "fulfillable-qty",
        "your-price",
        "unfulfillable-qty",
        "reserved-quantity",
        "inbound-shipped-qty",
    ),
    RETURNS: (
        "Order ID",
        "Order date",
        "Return request date",
        "Return request status",
        "Amazon RMA ID",
        "Merchant RMA ID",
        "Label type",
        "Label cost",
        "Currency code",
        "Return carrier",
        "Tracking ID",
        "Label to be paid by",
        "A-to-Z Claim",
        "Is prime",
        "ASIN",
        "Merchant SKU",
        "Item Name",
        "Return quantity",
        "Return Reason",
        "In policy",
        "Return type",
        "Resolution",
        "Invoice number",
        "Return delivery date",
        "Order Amount",
        "Order quantity",
        "SafeT Action reason",
        "SafeT claim id",
        "SafeT claim state",
        "SafeT claim creation time",
        "SafeT claim reimbursement amount",
        "Refunded Amount",
        "Order Item ID",
    ),
}
