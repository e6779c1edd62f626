"""What a monitor may ask, and what nobody learns from it."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from evidence.models import Item
from evidence.vocabulary import FixityOutcome
from tests import factories

TOKEN = "a-token-of-the-monitors-0123456789"
pytestmark = pytest.mark.django_db


def asked(client: Client, token: str = TOKEN) -> dict[tuple[str, str], float]:
    answer = client.get("/metrics/", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def test_without_the_token_there_is_no_such_page(client: Client, settings: Any) -> None:
    settings.SANAD_METRICS_TOKEN = ""
    assert client.get("/metrics/", headers={"Authorization": "Bearer "}).status_code == 404
    settings.SANAD_METRICS_TOKEN = TOKEN
    for wrong in ("", "Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer \xff"):
        assert client.get("/metrics/", headers={"Authorization": wrong}).status_code == 404


def test_a_failed_item_and_what_is_due_can_be_alarmed_on(client: Client, settings: Any) -> None:
    settings.SANAD_METRICS_TOKEN = TOKEN
    compartment = factories.make_compartment()
    failed, due, _ = (factories.make_item(compartment) for _ in range(3))
    now = timezone.now()
    Item.objects.filter(pk=failed.pk).update(last_verified_at=now, last_outcome=FixityOutcome.CHANGED)
    Item.objects.filter(pk=due.pk).update(received_at=now - timedelta(days=2))
    told = asked(client)
    code = compartment.code
    assert told["sanad_items", code] == 3
    assert told["sanad_items_failed", code] == 1
    assert told["sanad_items_never_verified", code] == 2
    assert told["sanad_items_due", code] == 1
    assert told["sanad_sweep_paused", code] == 0
    assert told["sanad_ledger_pending", ""] > 0
    assert told["sanad_jobs", "todo"] >= 3


def test_no_metric_names_an_item_or_a_person(client: Client, settings: Any) -> None:
    settings.SANAD_METRICS_TOKEN = TOKEN
    item = factories.make_item()
    text = client.get("/metrics/", headers={"Authorization": f"Bearer {TOKEN}"}).content.decode()
    for secret in (item.accession, str(item.pk), item.sha256, item.received_by.username, item.received_by.display_name):
        assert secret not in text
