"""Launchers for the CUDA sources, each beside its torch reference."""
