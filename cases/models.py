"""Legal matters, the items tendered in them, and what reviewers say of those."""

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import Compartment
from cases import disclosure
from cases.vocabulary import Assessment, Category, ExportState, Forum, Status
from evidence.models import Blob, Item
from witnesses.vocabulary import Purpose, RecipientKind


def all_fields() -> list[str]:
    """What a bundle opens unless somebody chooses otherwise."""
    return list(disclosure.ALL)


class CaseNumber(models.Model):
    """The last case number given in a compartment."""

    compartment = models.OneToOneField(Compartment, models.PROTECT, primary_key=True, related_name="+")
    last = models.IntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.compartment_id} {self.last}"


class CaseFile(models.Model):
    """A legal matter. Its purpose and recipient are what consents are asked for."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    compartment = models.ForeignKey(Compartment, models.PROTECT, related_name="case_files")
    code = models.CharField(_("number"), max_length=20)
    title = models.CharField(_("title"), max_length=200, help_text=_("Never a witness's name."))
    forum = models.CharField(_("forum"), max_length=20, choices=Forum.choices)
    purpose = models.CharField(
        _("purpose"),
        max_length=30,
        choices=Purpose.choices,
        help_text=_("Witnesses agree to purposes: an item is tendered only where this one is covered."),
    )
    recipient_kind = models.CharField(_("kind of recipient"), max_length=30, choices=RecipientKind.choices)
    recipient = models.CharField(
        _("recipient"), max_length=200, help_text=_("The court, prosecutor or body that is to receive the exhibits.")
    )
    summary = models.TextField(_("summary"), blank=True, max_length=10_000)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OPEN)
    opened_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    opened_at = models.DateTimeField()
    last_exhibit = models.IntegerField(default=0)

    class Meta:
        ordering = ["-opened_at"]
        constraints = [models.UniqueConstraint(fields=["compartment", "code"], name="case_number_once")]

    def __str__(self) -> str:
        return self.code


class Exhibit(models.Model):
    """An item tendered in a case file, under a number of its own that is never given again."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    case_file = models.ForeignKey(CaseFile, models.PROTECT, related_name="exhibits")
    number = models.CharField(_("exhibit number"), max_length=20)
    item = models.ForeignKey(Item, models.PROTECT, related_name="exhibits")
    category = models.CharField(_("category"), max_length=20, choices=Category.choices)
    relevance = models.TextField(_("relevance"), max_length=4_000, help_text=_("What it tends to prove, and why."))
    notes = models.TextField(_("working notes"), blank=True, max_length=4_000)
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    added_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    withdrawn_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["case_file", "number"], name="exhibit_number_once"),
            models.UniqueConstraint(
                fields=["case_file", "item"],
                condition=models.Q(withdrawn_at__isnull=True),
                name="item_tendered_once",
            ),
        ]

    def __str__(self) -> str:
        return self.number


class Review(models.Model):
    """One reviewer's coded assessment of an exhibit. A second one may disagree; both stay."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    exhibit = models.ForeignKey(Exhibit, models.PROTECT, related_name="reviews")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    assessment = models.CharField(_("assessment"), max_length=20, choices=Assessment.choices)
    note = models.TextField(_("reasons"), max_length=4_000)
    at = models.DateTimeField()

    class Meta:
        ordering = ["at"]

    def __str__(self) -> str:
        return f"{self.exhibit_id} {self.assessment}"


class Bundle(models.Model):
    """One export of a case file: asked for, built by a worker, checked by the verifier it carries, kept encrypted."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    case_file = models.ForeignKey(CaseFile, models.PROTECT, related_name="bundles")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    requested_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=ExportState.choices, default=ExportState.WAITING)
    done = models.IntegerField(default=0)
    total = models.IntegerField(default=0)
    problem = models.CharField(max_length=1000, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    blob = models.OneToOneField(Blob, models.PROTECT, null=True, blank=True, related_name="bundle")
    size = models.BigIntegerField(null=True, help_text="bytes of the .zip")
    sha256 = models.CharField(max_length=64, blank=True, help_text="of the .zip")
    digest = models.CharField(max_length=64, blank=True, help_text="SHA-256 of tagmanifest-sha256.txt")
    exhibits = models.JSONField(default=list, help_text="[number, accession, sha256] of what left")
    opened = ArrayField(models.CharField(max_length=32), default=all_fields, help_text="fields of events that it opens")
    fields_opened = models.IntegerField(null=True, help_text="how many values it opens")
    fields_withheld = models.IntegerField(null=True, help_text="how many stay commitments")

    class Meta:
        ordering = ["-requested_at"]

    def __str__(self) -> str:
        return f"{self.case_file_id} {self.state}"

    @property
    def withheld_labels(self) -> list[str]:
        """In words, which fields it was asked to withhold."""
        return [str(disclosure.Field(name).label) for name in disclosure.withheld(self.opened)]

    @property
    def file_name(self) -> str:
        return f"{self.case_file.compartment.code}-{self.case_file.code}-{self.requested_at:%Y%m%dT%H%M%SZ}.zip"
