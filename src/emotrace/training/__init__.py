"""Train networks and make bundles of them. Needs the `train` extra."""

from typing import Final

INSTALL_TRAINING: Final = 'pip install ".[train]"'
"""What brings the packages for training, in a checkout of emotrace."""
