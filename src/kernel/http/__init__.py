"""How HTTP looks everywhere: problems, request ids, access, idempotency."""
