"""From a video to its timeline: the streaming pipeline, and what is made of its results."""
