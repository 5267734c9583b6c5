"""Training of the bundled text encoder: a small CLIP on rendered heads and their captions."""
