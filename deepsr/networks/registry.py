"""The names of all networks. No training imports this list, so a new entry trains no other network anew."""

# Each is a module of deepsr.networks whose class Net is the architecture.
NETWORKS = ["deepsr", "srcnn", "fast"]
