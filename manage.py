#!/usr/bin/env python3
"""Django's command line for this archive."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "archive.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    if os.environ.get("ARCHIVE_SUPERVISED"):
        from archive.logs import log_last_words

        log_last_words(sys.argv[1] if len(sys.argv) > 1 else "manage.py")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as problem:
        sys.exit(f"sanad: {problem}")


if __name__ == "__main__":
    main()
