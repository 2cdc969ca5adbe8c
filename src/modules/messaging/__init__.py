"""Contexts, channels, messages and the chat gateway: the log and its one writer."""
