import gettext
import os
from pathlib import Path

import pytest

from archive.messages import compile_messages
from tests.catalogues import problems

HEADER = """msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"Plural-Forms: nplurals=2; plural=(n > 1);\\n"

"""


def catalogue(folder: Path, text: str) -> Path:
    path = folder / "fr" / "LC_MESSAGES" / "django.po"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + text, "utf-8")
    return path


def test_a_catalogue_is_compiled_once_and_again_when_it_changes(tmp_path: Path) -> None:
    source = catalogue(tmp_path, 'msgid "Witness"\nmsgstr "Témoin"\n')

    (compiled,) = compile_messages(tmp_path)

    assert gettext.translation("django", tmp_path, ["fr"]).gettext("Witness") == "Témoin"
    assert compile_messages(tmp_path) == []
    later = compiled.stat().st_mtime + 10
    os.utime(source, (later, later))
    assert compile_messages(tmp_path) == [compiled]


def test_a_doubtful_translation_is_not_shown(tmp_path: Path) -> None:
    catalogue(tmp_path, '#, fuzzy\nmsgid "Witness"\nmsgstr "Client"\n')
    compile_messages(tmp_path)

    assert gettext.translation("django", tmp_path, ["fr"]).gettext("Witness") == "Witness"


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ('msgid "Witness"\nmsgstr ""\n', "not translated: 'Witness'"),
        ('#, fuzzy\nmsgid "Witness"\nmsgstr "Client"\n', "doubtful (fuzzy): 'Witness'"),
        ('msgid "%(n)s items"\nmsgstr "objets"\n', "other placeholders than the source: '%(n)s items'"),
        ('msgid "{n} item"\nmsgid_plural "{n} items"\nmsgstr[0] "{m}"\nmsgstr[1] "{n} objets"\n', "a plural has other"),
    ],
)
def test_what_is_wrong_with_a_catalogue_is_named(tmp_path: Path, entry: str, problem: str) -> None:
    path = catalogue(tmp_path, entry)

    (found,) = problems(path, path)

    assert found.startswith(f"fr/django: {problem}")


def test_a_complete_catalogue_has_no_problems(tmp_path: Path) -> None:
    entries = 'msgid "%(n)s items"\nmsgstr "%(n)s objets"\n\nmsgid "{n} item"\nmsgid_plural "{n} items"\n'
    path = catalogue(tmp_path, entries + 'msgstr[0] "un objet"\nmsgstr[1] "{n} objets"\n')

    assert list(problems(path, path)) == []
