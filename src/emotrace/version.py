"""The version, apart from everything, so that any layer may write it into its results."""

from typing import Final

__version__: Final = "0.1.0"
