"""Clips and their frames: where they come from, how they are read, and made small."""
