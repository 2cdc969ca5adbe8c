"""Queries of the webhooks."""
