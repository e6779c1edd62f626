"""Recovers an archive's objects without the archive: no database, no Django, none of its other code.

Needs Python 3.11, `cryptography` and `pyrage`, the store's objects, an exported escrow file, and the identity of one
recovery recipient. The forms it reads are specified in docs/spec/keys.md.
"""
