"""Maquette's engine: everything that computes. No window, no global state."""
