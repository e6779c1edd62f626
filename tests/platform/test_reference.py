"""The generated reference says what the code says."""

from django.core.management import call_command


def test_the_reference_pages_are_those_of_the_present_code() -> None:
    call_command("reference", "--check")
