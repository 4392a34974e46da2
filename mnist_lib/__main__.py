"""The door to the command line: python -m mnist_lib."""

import sys

from mnist_lib.commands.command_line import main

if __name__ == "__main__":
    sys.exit(main())
