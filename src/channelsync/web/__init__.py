"""What is served over HTTP: the webhook receiver, the JSON API, feeds, metrics and health."""
