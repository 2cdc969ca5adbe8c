"""Alerts for those who are not looking: preferences, deliveries, transports."""
