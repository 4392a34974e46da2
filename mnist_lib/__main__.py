"""The command line: python -m mnist_lib."""

import sys

from mnist_lib.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
