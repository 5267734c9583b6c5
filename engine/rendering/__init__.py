"""Rays, samplers and compositing, shared by all families."""
