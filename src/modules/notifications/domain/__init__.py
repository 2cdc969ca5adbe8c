"""The rules of notifications as pure functions and values: no clock, no database, no provider."""
