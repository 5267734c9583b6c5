"""Safe readers for model files, and conversion."""
