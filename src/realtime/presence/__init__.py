"""Who is there, and who is looking: over all devices of a person, and all instances."""
