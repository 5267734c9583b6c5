"""Texts and pictures in one space: CLIP models through open_clip, the bundled one or the user's."""
