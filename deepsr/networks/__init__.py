"""The networks: one file for each architecture, and what all of them share."""
