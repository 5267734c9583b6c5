"""Generator families, one file each, on shared blocks."""
