"""A WooCommerce shop for tests: its REST API v3 and webhooks over the lab's state machine.

Written from what the vendor documents, from its public source (the functions are named where a behaviour rests on
one) and from recorded answers of WooCommerce 9.9.5; it shares nothing with the connector. Start with
`vendor_woocommerce.site.open_vendor`.
"""
