"""`python -m emotrace`: the command line, where the `emotrace` script is not on the path."""

import sys

from emotrace.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
