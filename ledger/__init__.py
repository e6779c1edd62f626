"""The custody ledger's format: entries, tree, notes, checkpoints, proofs and bundles (docs/spec/ledger.md).

Standard library only, Python 3.9 and later. `cryptography` is used for Ed25519 where it can be imported.
This package is what goes into every bundle as its verifier.
"""

VERSION = "1.0"
