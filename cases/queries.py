"""What the case pages and the API read, already filtered by permission."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Prefetch, Q, QuerySet

from accounts.models import User
from accounts.permissions import can, permitted
from cases.coverage import consent
from cases.models import CaseFile, Exhibit, Review
from witnesses.consent import Decision


@dataclass(frozen=True)
class ExhibitRow:
    """An exhibit as one person may see it now."""

    exhibit: Exhibit
    decision: Decision
    shown: bool
    latest: Review | None
    disagreement: bool


def case_files(user: User, *, text: str = "", status: str = "") -> QuerySet[CaseFile]:
    """The case files the person may see, newest first, with the number of exhibits."""
    found = permitted(user, "case.view", CaseFile.objects.select_related("compartment"))
    if status:
        found = found.filter(status=status)
    if text:
        found = found.filter(Q(title__icontains=text) | Q(code__icontains=text) | Q(recipient__icontains=text))
    counted = found.annotate(tendered=Count("exhibits", filter=Q(exhibits__withdrawn_at__isnull=True)))
    return counted.order_by("-opened_at", "-id")


def exhibit_rows(user: User, case_file: CaseFile, at: datetime) -> list[ExhibitRow]:
    """The exhibits by number, withdrawn ones last. Words and content show only where consent covers them."""
    exhibits = permitted(user, "exhibit.view", Exhibit.objects.filter(case_file=case_file)).select_related("item")
    reviews = Prefetch("reviews", Review.objects.select_related("reviewer").order_by("at"))
    rows = [_row(user, case_file, exhibit, at) for exhibit in exhibits.prefetch_related(reviews)]
    return sorted(rows, key=lambda row: (row.exhibit.withdrawn_at is not None, row.exhibit.number))


def exhibit_row(user: User, exhibit: Exhibit, at: datetime) -> ExhibitRow:
    """One exhibit as this person may see it now."""
    return _row(user, exhibit.case_file, exhibit, at)


def _row(user: User, case_file: CaseFile, exhibit: Exhibit, at: datetime) -> ExhibitRow:
    decision = consent(case_file, exhibit.item, at)
    reviews = list(exhibit.reviews.all())
    newest = {review.reviewer_id: review.assessment for review in reviews}
    return ExhibitRow(
        exhibit=exhibit,
        decision=decision,
        shown=decision.allowed and can(user, "item.view_content", exhibit.item),
        latest=reviews[-1] if reviews else None,
        disagreement=len(set(newest.values())) > 1,
    )
