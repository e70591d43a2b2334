"""Scores of enlarged frames against the ground truth, and the table."""
