"""From photographs to a data set: find faces, align, cut, and tell the camera."""
