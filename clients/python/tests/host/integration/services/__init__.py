"""The host's clients."""
