"""`manage.py makemessages`, as Django's, and never guessing a translation from a string that is merely similar."""

from django.core.management.commands import makemessages


class Command(makemessages.Command):
    msgmerge_options = [*makemessages.Command.msgmerge_options, "--no-fuzzy-matching"]
