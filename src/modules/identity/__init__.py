"""People, API keys and tokens."""
