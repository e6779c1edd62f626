"""Incidents, what links items to them, what sources claim of them, and intakes: receptions that were announced."""

import uuid

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.core.validators import MaxLengthValidator, RegexValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from accounts.models import Compartment
from custody import seal
from evidence.models import Item, Located
from evidence.search import Normalised
from evidence.vocabulary import DateBasis
from incidents.vocabulary import (
    Counting,
    Credibility,
    Dimension,
    Governorate,
    Measure,
    Reliability,
    Stance,
    Status,
    UploadState,
)

LONGEST_NARRATIVE = 10_000  # characters


class ViolationCategory(models.Model):
    """A kind of violation. The list is the archive's own data, in its three languages."""

    code = models.SlugField(_("code"), max_length=60, unique=True)
    name_en = models.CharField(max_length=200)
    name_ar = models.CharField(max_length=200)
    name_fr = models.CharField(max_length=200)
    order = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["order", "code"]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """In the reader's language, English where it is none of ours."""
        language = (get_language() or "en")[:2]
        return {"ar": self.name_ar, "fr": self.name_fr}.get(language, self.name_en)


class IncidentNumber(models.Model):
    """The last number given to an incident in a compartment."""

    compartment = models.OneToOneField(Compartment, models.PROTECT, primary_key=True, related_name="+")
    last = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.compartment_id} {self.last}"


class Incident(Located):
    """Something that happened at a place and time, as far as it is known."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    compartment = models.ForeignKey(
        Compartment, models.PROTECT, related_name="incidents", verbose_name=_("compartment")
    )
    code = models.CharField(
        _("code"),
        max_length=20,
        validators=[RegexValidator(r"^[A-Z0-9][A-Z0-9-]{0,19}\Z", _("Capital letters, digits and dashes: I-0001."))],
    )
    title = models.CharField(
        _("title"), max_length=200, help_text=_("What happened and where. Never a witness's or a victim's name.")
    )
    title_ar = models.CharField(_("title, in Arabic"), max_length=200, blank=True)
    categories = models.ManyToManyField(
        ViolationCategory, related_name="incidents", blank=True, verbose_name=_("violation categories")
    )
    governorate = models.CharField(_("governorate"), max_length=5, blank=True, choices=Governorate.choices)
    happened_edtf = models.CharField(_("happened"), max_length=60, blank=True)
    happened_earliest = models.DateField(null=True, blank=True)
    happened_latest = models.DateField(null=True, blank=True)
    happened_basis = models.CharField(_("basis"), max_length=10, blank=True, choices=DateBasis.choices)
    narrative = models.TextField(
        _("narrative"),
        blank=True,
        max_length=LONGEST_NARRATIVE,
        validators=[MaxLengthValidator(LONGEST_NARRATIVE)],
        help_text=_(
            "What is known, and from which items. Perpetrators are alleged; witnesses appear by pseudonym only. "
            "Religion and ethnicity only where the violation itself is about them."
        ),
    )
    status = models.CharField(_("status"), max_length=12, choices=Status.choices, default=Status.DRAFT)
    opened_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    opened_at = models.DateTimeField(_("opened"))
    search = models.GeneratedField(
        expression=Normalised(
            F("code"), F("title"), F("title_ar"), F("place_name"), F("place_name_ar"), F("narrative")
        ),
        output_field=models.TextField(),
        db_persist=True,
    )

    class Meta(Located.Meta):
        abstract = False
        ordering = ["-opened_at", "-id"]
        constraints = [
            *Located.Meta.constraints,
            models.UniqueConstraint(
                fields=["compartment", "code"],
                name="incident_code_once",
                violation_error_message=_("Another incident of this compartment has this code."),
            ),
        ]
        indexes = [
            models.Index(fields=["compartment", "-opened_at", "-id"], name="incident_newest"),
            models.Index(fields=["compartment", "happened_earliest", "id"], name="incident_happened"),
            GinIndex(fields=["search"], name="incident_search", opclasses=["gin_trgm_ops"]),
        ]

    def __str__(self) -> str:
        return self.code

    @property
    def shown_title(self) -> str:
        """The title in the reader's language where there is one."""
        arabic = (get_language() or "").startswith("ar")
        return self.title_ar if arabic and self.title_ar else self.title

    @property
    def shown_place(self) -> str:
        arabic = (get_language() or "").startswith("ar")
        return (self.place_name_ar if arabic else self.place_name) or self.place_name or self.place_name_ar


class Link(models.Model):
    """An item tagged to an incident, with the analyst's stance and grades. Withdrawn, never deleted."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    item = models.ForeignKey(Item, models.PROTECT, related_name="links")
    incident = models.ForeignKey(Incident, models.PROTECT, related_name="links")
    stance = models.CharField(_("stance"), max_length=12, choices=Stance.choices)
    reasons = models.TextField(
        _("reasons"), max_length=2_000, validators=[MaxLengthValidator(2_000)], help_text=_("Why you say so.")
    )
    source_reliability = models.CharField(
        _("source reliability"), max_length=1, blank=True, choices=Reliability.choices
    )
    information_credibility = models.PositiveSmallIntegerField(
        _("information credibility"), null=True, blank=True, choices=Credibility.choices
    )
    linked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    linked_at = models.DateTimeField()
    withdrawn_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["linked_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["item", "incident"], condition=Q(withdrawn_at__isnull=True), name="linked_once"
            )
        ]
        indexes = [models.Index(fields=["incident", "linked_at"], name="link_incident")]

    def __str__(self) -> str:
        return f"{self.item_id} {self.stance} {self.incident_id}"


class Claim(models.Model):
    """What one source says about an incident, in its own scope. Claims are set side by side and never summed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    incident = models.ForeignKey(Incident, models.PROTECT, related_name="claims")
    source = models.CharField(_("source"), max_length=300, help_text=_("Who says so: an organisation or body."))
    document_title = models.CharField(
        _("document"), max_length=300, help_text=_("The report or statement that says it.")
    )
    document_url = models.URLField(_("link to the document"), max_length=1_000, blank=True)
    measure = models.CharField(_("what is counted"), max_length=10, choices=Measure.choices, default=Measure.KILLED)
    scope_area = models.CharField(_("area"), max_length=300, help_text=_("The area the number is about."))
    period_edtf = models.CharField(_("period"), max_length=60, blank=True)
    period_earliest = models.DateField(null=True, blank=True)
    period_latest = models.DateField(null=True, blank=True)
    who_counts = models.CharField(
        _("who is counted"),
        max_length=300,
        help_text=_("For example: civilians; or all dead except security personnel."),
    )
    as_of = models.DateField(
        _("as of"), null=True, blank=True, help_text=_("The day up to which the source had counted.")
    )
    minimum = models.PositiveIntegerField(_("at least"), null=True, blank=True)
    maximum = models.PositiveIntegerField(_("at most"), null=True, blank=True)
    counted = models.CharField(_("named or counted"), max_length=8, blank=True, choices=Counting.choices)
    note = models.TextField(_("note"), blank=True, max_length=2_000, validators=[MaxLengthValidator(2_000)])
    recorded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField()
    withdrawn_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["as_of", "recorded_at", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(minimum__isnull=False) | Q(maximum__isnull=False), name="claim_has_a_number"
            ),
            models.CheckConstraint(
                condition=Q(minimum__isnull=True) | Q(maximum__isnull=True) | Q(minimum__lte=F("maximum")),
                name="claim_range_is_ordered",
            ),
        ]
        indexes = [models.Index(fields=["incident", "recorded_at"], name="claim_incident")]

    def __str__(self) -> str:
        return f"{self.source} {self.minimum}–{self.maximum}"

    @property
    def exact(self) -> bool:
        """Whether the source gives one number."""
        return self.minimum is not None and self.minimum == self.maximum


class ClaimBreakdown(models.Model):
    """One part of a claim's number, as its source gives it. The parts need not add up to the whole."""

    claim = models.ForeignKey(Claim, models.PROTECT, related_name="breakdown")
    order = models.PositiveSmallIntegerField(default=0)
    dimension = models.CharField(_("by"), max_length=10, blank=True, choices=Dimension.choices)
    category = models.CharField(_("category"), max_length=100)
    count = models.PositiveIntegerField(_("count"))

    class Meta:
        ordering = ["order", "id"]
        constraints = [
            models.UniqueConstraint(fields=["claim", "dimension", "category"], name="breakdown_category_once")
        ]

    def __str__(self) -> str:
        return f"{self.category} {self.count}"


class Intake(models.Model):
    """An announced reception: what is said of the files to come, checked before the first byte is sent."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    compartment = models.ForeignKey(Compartment, models.PROTECT, related_name="+")
    incident = models.ForeignKey(Incident, models.PROTECT, related_name="intakes")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    stance = models.CharField(max_length=12, choices=Stance.choices)
    sealed = models.BinaryField(help_text="description, reasons and grades as JSON, sealed under the intake's key")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return str(self.id)


class Upload(models.Model):
    """A file that arrives in parts, until it is an item. `offset` bytes of it are durable; nothing else is told.

    What was said of it and the key of its bytes go when it is held or expired; the row stays.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    intake = models.ForeignKey(Intake, models.PROTECT, related_name="uploads")
    key = models.UUIDField(help_text="the idempotency key of the item to come")
    length = models.BigIntegerField(help_text="bytes of the whole file")
    offset = models.BigIntegerField(default=0, help_text="bytes that are durable here")
    blob_id = models.UUIDField(help_text="what names the staged bytes and binds them to their key")
    wrapped_key = models.BinaryField(help_text="the key of the staged bytes; empty when they are needed no more")
    sealed_metadata = models.BinaryField(help_text="Upload-Metadata as it was sent, sealed under a key of the upload's")
    declared_sha256 = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=10, choices=UploadState.choices, default=UploadState.RECEIVING)
    item = models.ForeignKey(Item, models.PROTECT, null=True, related_name="+")
    problem_code = models.CharField(max_length=40, blank=True)
    problem_detail = models.TextField(blank=True)
    writer = models.UUIDField(null=True, help_text="the request or job at work; stays when it was cut down")
    created_at = models.DateTimeField()
    touched_at = models.DateTimeField(help_text="when the last byte became durable, or the last thing happened")
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(offset__gte=0) & Q(offset__lte=F("length")), name="upload_offset_in_length"
            ),
            models.UniqueConstraint(
                fields=["by", "key"],
                condition=Q(state__in=[UploadState.RECEIVING, UploadState.FINISHING, UploadState.HELD]),
                name="upload_key_once",
            ),
        ]
        indexes = [
            models.Index(
                fields=["expires_at"],
                name="upload_open",
                condition=Q(state__in=[UploadState.RECEIVING, UploadState.FINISHING, UploadState.FAILED]),
            ),
            models.Index(fields=["by", "key"], name="upload_by_key"),
            models.Index(fields=["blob_id"], name="upload_blob"),
        ]

    def __str__(self) -> str:
        return str(self.id)


class UploadPart(models.Model):
    """What one request added to an upload: [start, stop) with the SHA-256 its bytes had on arrival."""

    upload = models.ForeignKey(Upload, models.CASCADE, related_name="parts")
    start = models.BigIntegerField()
    stop = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)

    class Meta:
        ordering = ["start"]
        constraints = [models.UniqueConstraint(fields=["upload", "start"], name="upload_part_once")]

    def __str__(self) -> str:
        return f"{self.start}-{self.stop}"


class Member(models.Model):
    """An item that came out of another one: a zip, or a bag in a folder, for which its best manifest stands."""

    item = models.OneToOneField(Item, models.PROTECT, primary_key=True, related_name="came_out_of")
    container = models.ForeignKey(Item, models.PROTECT, related_name="members")
    sealed_path = models.BinaryField(help_text="the path inside, sealed under the item's key; empty once erased")

    class Meta:
        ordering = ["container", "item__accession"]

    def __str__(self) -> str:
        return f"{self.item_id} of {self.container_id}"

    @property
    def path(self) -> str:
        """The path inside the container: as protected as an original name. Raises custody.seal.SealBroken."""
        return seal.unseal(self.item_id, "member_path", bytes(self.sealed_path)).decode()
