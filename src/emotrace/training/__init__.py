"""Train networks and make bundles of them. Needs the `train` extra."""
