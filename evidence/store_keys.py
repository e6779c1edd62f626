"""Credentials of S3 stores: a TOML file in the keys folder, one table for each store, readable by its owner alone.

    [far]
    access_key = "..."
    secret_key = "..."

A store without a table uses what the S3 client finds by itself: the environment (AWS_ACCESS_KEY_ID), a profile, a role.
"""

import stat
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from evidence.store_shape import StoreProblem


@dataclass(frozen=True)
class Credentials:
    access_key: str
    secret_key: str = field(repr=False)


def read(path: Path, name: str) -> Credentials | None:
    """The credentials of a store, None where the file or its table is absent. Raises StoreProblem."""
    try:
        with path.open("rb") as handle:
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                raise StoreProblem("the file of store keys can be read by others: chmod 600")
            table = tomllib.load(handle).get(name)
    except FileNotFoundError:
        return None
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise StoreProblem("the file of store keys cannot be read") from None
    if table is None:
        return None
    values = [table.get(key) for key in ("access_key", "secret_key")] if isinstance(table, dict) else []
    texts = [value for value in values if isinstance(value, str) and value]
    if len(texts) != 2:
        raise StoreProblem(f"the file of store keys has no access_key and secret_key for {name}")
    return Credentials(*texts)
