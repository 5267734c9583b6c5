"""A generator moved to another domain by a text, without pictures to learn from."""
