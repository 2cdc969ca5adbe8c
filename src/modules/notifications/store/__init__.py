"""Notifications' queries: plain SQL on a connection that the caller holds."""
