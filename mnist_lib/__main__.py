"""The door to the command line: python -m mnist_lib."""

import sys

from mnist_lib.runner.command_line import main

if __name__ == "__main__":
    sys.exit(main())
