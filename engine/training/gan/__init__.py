"""Adversarial training of every family, as published, on a person's own images."""
