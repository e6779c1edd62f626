"""The API's reference tells of every operation there is."""

import pytest
from django.urls import reverse

from archive.api_page import reference
from tests import factories

pytestmark = pytest.mark.django_db


def test_every_operation_of_the_api_stands_on_its_page_with_what_it_takes() -> None:
    page = factories.signed_in(factories.make_user()).get(reverse("api-page")).text
    operations = [operation for _, group in reference() for operation in group]
    assert len({operation.id for operation in operations}) == len(operations) > 90
    for operation in operations:
        assert f'id="{operation.id}"' in page
        assert "$ref" not in str(operation)
    [bundle] = [operation for operation in operations if operation.id == "bundles_create"]
    assert ("case", "body", "uuid", True) in [
        (value.name, value.place, value.type, value.required) for value in bundle.values
    ]


def test_the_page_runs_no_script_of_its_own() -> None:
    answer = factories.signed_in(factories.make_user()).get(reverse("api-page"))
    assert "trusted-types" in answer.headers["Content-Security-Policy"]
    assert "swagger" not in answer.text.lower()
