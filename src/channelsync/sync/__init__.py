"""The use cases and their loops: take orders, publish, reconcile, find problems."""
