"""The append-only log of a channel: its records and the chain that binds them."""
