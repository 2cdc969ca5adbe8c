"""Messaging's reads and its small writes. The log itself is written by `log.append` only."""
