"""Search over what is said of items. The one place that normalises text is sql/normalise.sql."""

from typing import Any

from django.db import connection
from django.db.models import F, Func, TextField
from django.db.models.expressions import RawSQL

LONGEST_QUERY = 200  # characters
MOST_WORDS = 8


class Normalised(Func):
    """Texts joined by a space and normalised in the database."""

    function = "evidence_normalised_v1"
    arg_joiner = " || ' ' || "
    output_field = TextField()

    def __init__(self, *texts: Any, **extra: Any) -> None:
        super().__init__(*texts, **extra)


SEARCHED = Normalised(F("accession"), F("title"), F("description"))


def matches(query: str) -> RawSQL | None:
    """The keys of the items that hold every word of the query somewhere, or None when nothing is asked.

    The matches are materialised before anything sorts them: a rare word must not be looked for by scanning all items
    from the newest. Words are parts of words; three letters or more use the trigram index.
    """
    words = normalised(query[:LONGEST_QUERY]).split()[:MOST_WORDS]
    if not words:
        return None
    patterns = ["%" + word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%" for word in words]
    # One LIKE for each word: the trigram index does not serve LIKE ALL.
    every = " AND ".join(["search LIKE %s"] * len(patterns))
    return RawSQL(  # noqa: S611  the words are parameters
        f"WITH found AS MATERIALIZED (SELECT id FROM evidence_item WHERE {every}) SELECT id FROM found",  # noqa: S608
        tuple(patterns),
    )


def normalised(text: str) -> str:
    """The text as the search column would hold it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT evidence_normalised_v1(%s)", [text.replace("\0", "")])
        row = cursor.fetchone()
    return str(row[0]) if row else ""
