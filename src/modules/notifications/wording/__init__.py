"""What people are told, in their language: catalogues of texts, and what is made of them. Never a message's text."""
