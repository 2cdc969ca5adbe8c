"""Full-text search in one's own channels."""
