"""The window's parts, one file each."""
