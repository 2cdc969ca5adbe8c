"""Connections, hub, presence: sockets without a domain."""
