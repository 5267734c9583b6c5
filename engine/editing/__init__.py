"""Editing faces: directions in w, where they are found, and how they are kept."""
