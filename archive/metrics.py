"""Prometheus metrics of the archive's health: how its bytes are verified, how its ledger grows, what its queues hold.

Counts, ages and compartments' codes; nothing of what an item is, who did what, or which item failed.
"""

import hmac
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db.models import Count, Min, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from procrastinate.contrib.django.models import ProcrastinateJob
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from custody.alarm import alarms
from custody.models import Pending, Quarantine
from custody.proof import newest_checkpoint
from custody.sequencer import tree_size
from evidence.models import Item
from evidence.vocabulary import FixityOutcome
from verification.queries import FAILED
from verification.schedules import plans
from verification.sweeps import due


class ArchiveCollector(Collector):
    """Everything that is measured, read from the database at the moment of asking."""

    def collect(self) -> Iterator[Metric]:
        yield from _items()
        yield from _ledger()
        yield from _jobs()


@login_not_required
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The metrics, in Prometheus' text format, to whoever sends SANAD_METRICS_TOKEN as a bearer token; else 404."""
    token: str = settings.SANAD_METRICS_TOKEN
    sent = request.headers.get("Authorization", "")
    if not token or not hmac.compare_digest(sent.encode(), f"Bearer {token}".encode()):
        raise Http404
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ArchiveCollector())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _items() -> Iterator[Metric]:
    now = timezone.now()
    standing = Item.objects.filter(Q(erased_at__isnull=True) | Q(last_outcome__in=FAILED))
    rows = (
        standing.order_by()
        .values("compartment__code")
        .annotate(
            all=Count("pk"),
            never=Count("pk", filter=Q(last_verified_at__isnull=True)),
            failed=Count("pk", filter=Q(last_outcome__in=FAILED)),
            oldest=Min("last_verified_at", filter=Q(last_outcome=FixityOutcome.OK)),
        )
    )
    counted: dict[str, dict[str, Any]] = {row["compartment__code"]: dict(row) for row in rows}
    families = {
        "all": GaugeMetricFamily("sanad_items", "Items that stand in the archive", labels=["compartment"]),
        "never": GaugeMetricFamily("sanad_items_never_verified", "Items never verified", labels=["compartment"]),
        "failed": GaugeMetricFamily("sanad_items_failed", "Items whose last check failed", labels=["compartment"]),
    }
    waits = GaugeMetricFamily("sanad_items_due", "Items due for a sweep", labels=["compartment"])
    oldest = GaugeMetricFamily(
        "sanad_oldest_verification_seconds", "Age of the oldest last verification", labels=["compartment"]
    )
    paused = GaugeMetricFamily("sanad_sweep_paused", "1 where sweeps are paused", labels=["compartment"])
    for plan in plans().values():
        code = [plan.compartment.code]
        row = counted.get(code[0])
        for name, family in families.items():
            family.add_metric(code, row[name] if row else 0)
        waits.add_metric(code, due(plan, now))
        paused.add_metric(code, plan.paused)
        if row and row["oldest"]:
            oldest.add_metric(code, (now - row["oldest"]).total_seconds())
    yield from (*families.values(), waits, oldest, paused)


def _ledger() -> Iterator[Metric]:
    head = newest_checkpoint()
    yield GaugeMetricFamily("sanad_ledger_entries", "Entries in the tree", value=tree_size())
    yield GaugeMetricFamily("sanad_ledger_pending", "Events without a place in the tree", value=Pending.objects.count())
    quarantined = Quarantine.objects.filter(released_at=None).count()
    yield GaugeMetricFamily("sanad_ledger_quarantined", "Events kept out of the tree", value=quarantined)
    yield GaugeMetricFamily("sanad_ledger_alarms", "Alarms on the audit desk", value=len(alarms()))
    if head is not None:
        age = (timezone.now() - head.signed_at).total_seconds()
        yield GaugeMetricFamily("sanad_ledger_head_seconds", "Age of the newest signed head", value=age)


def _jobs() -> Iterator[Metric]:
    family = GaugeMetricFamily("sanad_jobs", "Jobs in the queue, by state", labels=["state"])
    waiting = ProcrastinateJob.objects.filter(status__in=["todo", "doing", "failed"])
    counted = dict(waiting.order_by().values_list("status").annotate(count=Count("pk")))
    for state in ("todo", "doing", "failed"):
        family.add_metric([state], counted.get(state, 0))
    yield family
