"""Data sets, one file each: where the files lie, what the labels mean, which protocols exist."""
