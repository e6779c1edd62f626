"""`python -m ledger`: the verifier, and the cosigner that a partner organisation runs (`python -m ledger cosign`)."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ledger import cli, cosigner_server


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    return cosigner_server.main(given[1:]) if given[:1] == ["cosign"] else cli.main(given)


if __name__ == "__main__":
    raise SystemExit(main())
