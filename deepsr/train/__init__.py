"""Training a network on patches."""
