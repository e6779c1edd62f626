"""Whether consent lets the exhibits of a case go to its recipient for its purpose."""

from datetime import datetime

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts.permissions import NotNow
from cases.models import CaseFile, Exhibit
from evidence.models import Item
from witnesses.consent import Decision, covers
from witnesses.vocabulary import RecipientKind


def tendered(case_file: CaseFile) -> QuerySet[Exhibit]:
    """The exhibits of a case file that were not withdrawn, by number."""
    return case_file.exhibits.filter(withdrawn_at__isnull=True).select_related("item", "item__blob").order_by("number")


def consent(case_file: CaseFile, item: Item, at: datetime) -> Decision:
    """Whether every witness concerned agreed to this item going to this case's recipient for its purpose."""
    return covers(item, purpose=case_file.purpose, recipient=_recipients(case_file), at=at)


def _recipients(case_file: CaseFile) -> set[str]:
    """The kind of the recipient, and its own name: a name that spells a kind is no name."""
    return {case_file.recipient_kind} | ({case_file.recipient.strip()} - set(RecipientKind.values))


def refused(case_file: CaseFile, at: datetime) -> list[tuple[Exhibit, Decision]]:
    """The exhibits that consent does not cover now."""
    decisions = [(exhibit, consent(case_file, exhibit.item, at)) for exhibit in tendered(case_file)]
    return [(exhibit, decision) for exhibit, decision in decisions if not decision.allowed]


def must_be_covered(case_file: CaseFile, at: datetime, accessions: set[str] | None = None) -> None:
    """Raises NotNow naming each exhibit that consent does not cover, and why."""
    if accessions is None:
        against = refused(case_file, at)
    else:
        items = case_file.exhibits.filter(item__accession__in=accessions).select_related("item")
        decisions = [(exhibit, consent(case_file, exhibit.item, at)) for exhibit in items]
        against = [(exhibit, decision) for exhibit, decision in decisions if not decision.allowed]
    if against:
        reasons = " ".join(f"{exhibit.number}: {'; '.join(decision.reasons)}" for exhibit, decision in against)
        raise NotNow(_("Consent does not cover this export. %(reasons)s") % {"reasons": reasons})
