"""Clips and their frames: where they come from, how they are fetched, read, and made small."""
