"""What every part of Parley stands on: settings, database, errors, HTTP, credentials, ids, time, telemetry."""
