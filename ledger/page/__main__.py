"""python -m ledger.page: the page on the standard output, to take it from the source and not from a bundle."""

import sys

from ledger.page import page

sys.stdout.buffer.write(page())
