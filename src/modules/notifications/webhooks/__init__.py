"""Webhooks of the host: events that it subscribes to are posted to it, signed, until it takes them."""
