"""The command line of the same name; ``--help`` says what it takes."""

import sys

from mmseg_heritage.cli import main

if __name__ == "__main__":
    sys.exit(main(["apply-review", *sys.argv[1:]]))
