"""Network architectures, one file each. Needs the `train` extra."""
