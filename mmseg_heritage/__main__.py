"""``python -m mmseg_heritage``."""

import sys

from mmseg_heritage.cli import main

if __name__ == "__main__":
    sys.exit(main())
