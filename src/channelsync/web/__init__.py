"""What is served over HTTP: the webhook receiver, the JSON API, the dashboard."""
