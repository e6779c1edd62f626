"""Items, their bytes, and the checks made on them."""

import json
import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.core.validators import MaxLengthValidator, MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import Compartment
from custody import seal
from evidence.search import SEARCHED
from evidence.vocabulary import (
    CopyReason,
    DateBasis,
    ErasureGround,
    ErasureState,
    FixityOutcome,
    Kind,
    Method,
    Precision,
    SourceKind,
)


class Located(models.Model):
    """A place with its stated precision. The coordinates are the centre of a circle, never a point."""

    place_name = models.CharField(_("place"), max_length=200, blank=True)
    place_name_ar = models.CharField(_("place, in Arabic"), max_length=200, blank=True)
    latitude = models.DecimalField(
        _("latitude"),
        max_digits=8,
        decimal_places=6,
        null=True,
        blank=True,
        validators=[MinValueValidator(-90), MaxValueValidator(90)],
    )
    longitude = models.DecimalField(
        _("longitude"),
        max_digits=9,
        decimal_places=6,
        null=True,
        blank=True,
        validators=[MinValueValidator(-180), MaxValueValidator(180)],
    )
    precision = models.CharField(_("precision"), max_length=10, blank=True, choices=Precision.choices)
    gazetteer_code = models.CharField(_("gazetteer code"), max_length=40, blank=True)

    class Meta:
        abstract = True
        constraints = [
            models.CheckConstraint(
                condition=models.Q(latitude__isnull=True, longitude__isnull=True)
                | models.Q(latitude__isnull=False, longitude__isnull=False) & ~models.Q(precision=""),
                name="%(app_label)s_%(class)s_coordinates_have_precision",
            )
        ]


class Blob(models.Model):
    """Stored encrypted bytes, addressed by the SHA-256 of the ciphertext. Written once, never changed.

    Once erased, address and key commitment stay, as they do in the ledger; the wrapped key is empty.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    address = models.CharField(max_length=64, unique=True)
    size = models.BigIntegerField(help_text="ciphertext bytes")
    wrapped_key = models.BinaryField()
    key_commitment = models.CharField(max_length=64)

    def __str__(self) -> str:
        return self.address


class Escrow(models.Model):
    """A blob's data key, encrypted to everybody who may recover it (evidence.escrow). Never changed, only replaced.

    The database takes the row away with the blob's key, whoever destroys that.
    """

    blob_id = models.UUIDField(primary_key=True)
    address = models.CharField(max_length=64)
    recipients = ArrayField(models.CharField(max_length=16), help_text="their ids, sorted")
    sealed = models.BinaryField(help_text="an age file")
    sealed_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.address


class EscrowExport(models.Model):
    """An escrow file that left the archive: what it was, and when somebody said that it was destroyed."""

    sha256 = models.CharField(max_length=64, unique=True)
    made_at = models.DateTimeField()
    objects_in_it = models.BigIntegerField()
    recipients = ArrayField(models.CharField(max_length=16))
    destroyed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["made_at", "pk"]

    def __str__(self) -> str:
        return self.sha256


class Accession(models.Model):
    """The last accession number given in a compartment."""

    compartment = models.OneToOneField(Compartment, models.PROTECT, primary_key=True, related_name="+")
    last = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.compartment_id} {self.last}"


class Item(Located):
    """One digital object as received: the evidentiary copy. Its bytes, digests and reception never change."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    compartment = models.ForeignKey(Compartment, models.PROTECT, related_name="items")
    accession = models.CharField(_("accession number"), max_length=30, unique=True)
    blob = models.OneToOneField(Blob, models.PROTECT, related_name="item")
    sha256 = models.CharField(max_length=64)
    sha512 = models.CharField(max_length=128)
    size = models.BigIntegerField(_("size"), help_text="bytes as received")
    sealed_name = models.BinaryField(help_text="the original file name, sealed under the item's key")
    received_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    received_at = models.DateTimeField(_("received"))
    idempotency_key = models.UUIDField(null=True)
    duplicate_of = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="duplicates")

    kind = models.CharField(_("kind"), max_length=20, choices=Kind.choices, default=Kind.UNDETERMINED)
    title = models.CharField(
        _("title"), max_length=200, blank=True, help_text=_("What it shows. Never a witness's name.")
    )
    description = models.TextField(_("description"), blank=True, max_length=20_000)
    language = models.CharField(_("language"), max_length=35, blank=True, help_text=_("For example ar, en, fr, apc."))
    graphic = models.BooleanField(_("graphic content"), default=False)

    created_edtf = models.CharField(_("created (shot, written)"), max_length=60, blank=True)
    created_earliest = models.DateField(null=True, blank=True)
    created_latest = models.DateField(null=True, blank=True)
    created_basis = models.CharField(_("basis"), max_length=10, blank=True, choices=DateBasis.choices)
    published_edtf = models.CharField(_("published"), max_length=60, blank=True)
    published_earliest = models.DateField(null=True, blank=True)
    published_latest = models.DateField(null=True, blank=True)
    published_basis = models.CharField(_("basis"), max_length=10, blank=True, choices=DateBasis.choices)
    collected_edtf = models.CharField(_("collected"), max_length=60, blank=True)
    collected_earliest = models.DateField(null=True, blank=True)
    collected_latest = models.DateField(null=True, blank=True)
    collected_basis = models.CharField(_("basis"), max_length=10, blank=True, choices=DateBasis.choices)

    source_kind = models.CharField(_("kind of source"), max_length=20, blank=True, choices=SourceKind.choices)
    source = models.CharField(
        _("source"),
        max_length=300,
        blank=True,
        help_text=_("A pseudonym, a public channel, a link. Never a witness's name."),
    )
    acquired_by = models.CharField(_("acquired by"), max_length=200, blank=True)
    acquired_edtf = models.CharField(_("acquired on"), max_length=60, blank=True)
    acquired_where = models.CharField(_("acquired at"), max_length=200, blank=True)
    acquired_how = models.CharField(_("how acquired"), max_length=20, blank=True, choices=Method.choices)
    acquired_tool = models.CharField(_("tool"), max_length=200, blank=True)

    # Written once by the examination of the bytes in the sandbox.
    media_type = models.CharField(_("type"), max_length=127, blank=True)
    media_type_puremagic = models.CharField(max_length=127, blank=True)
    media_type_libmagic = models.CharField(max_length=127, blank=True)
    type_conflict = models.BooleanField(default=False)
    examined_at = models.DateTimeField(null=True, blank=True)
    examination_problem = models.CharField(max_length=300, blank=True)
    sealed_claims = models.BinaryField(null=True, help_text="what the device claims (EXIF), JSON, sealed")

    last_verified_at = models.DateTimeField(null=True, blank=True)
    last_outcome = models.CharField(max_length=12, blank=True, choices=FixityOutcome.choices)
    erased_at = models.DateTimeField(null=True, blank=True)

    search = models.GeneratedField(expression=SEARCHED, output_field=models.TextField(), db_persist=True)

    class Meta(Located.Meta):
        abstract = False
        ordering = ["-received_at", "-id"]
        constraints = [
            *Located.Meta.constraints,
            models.UniqueConstraint(fields=["received_by", "idempotency_key"], name="received_once"),
        ]
        indexes = [
            models.Index(fields=["-received_at", "-id"], name="item_newest_of_all"),
            models.Index(fields=["compartment", "-received_at", "-id"], name="item_newest"),
            models.Index(fields=["compartment", "sha256"], name="item_digest"),
            models.Index(fields=["compartment", "last_verified_at"], name="item_coverage"),
            models.Index(
                fields=["compartment", "received_at"],
                condition=models.Q(last_verified_at__isnull=True, erased_at__isnull=True),
                name="item_unverified",
            ),
            GinIndex(fields=["search"], name="item_search", opclasses=["gin_trgm_ops"]),
        ]

    def __str__(self) -> str:
        return self.accession

    @property
    def claims(self) -> dict[str, str]:
        """What the device that made it claims, field by field; empty when it claims nothing. Raises seal.SealBroken."""
        if self.sealed_claims is None:
            return {}
        claims: dict[str, str] = json.loads(seal.unseal(self.id, "claims", bytes(self.sealed_claims)))
        return claims

    @property
    def original_name(self) -> str:
        """The name under which it came: protected, shown only to those who may see content."""
        return seal.unseal(self.id, "original_name", bytes(self.sealed_name)).decode()


class Derivative(models.Model):
    """Made from an item by a tool: a working copy that is seen only by those who may see the item's content."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    item = models.ForeignKey(Item, models.PROTECT, related_name="derivatives")
    purpose = models.CharField(max_length=20, choices=[("preview", _("Preview"))])
    blob = models.OneToOneField(Blob, models.PROTECT, related_name="derivative")
    media_type = models.CharField(max_length=127)
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    tool = models.CharField(max_length=100)
    made_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["item", "purpose"], name="derivative_once")]

    def __str__(self) -> str:
        return f"{self.item_id} {self.purpose}"


class FixityCheck(models.Model):
    """One test of an item's bytes and of the ledger's word for them."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    item = models.ForeignKey(Item, models.PROTECT, related_name="fixity_checks")
    at = models.DateTimeField()
    by_id = models.UUIDField()
    outcome = models.CharField(max_length=12, choices=FixityOutcome.choices)
    detail = models.CharField(max_length=300, blank=True)
    steps = models.JSONField(default=list, help_text="what was tested, in order: [{name, good, detail}]")
    event_id = models.UUIDField()

    class Meta:
        ordering = ["-at"]
        indexes = [models.Index(fields=["item", "-at"], name="fixity_newest")]

    def __str__(self) -> str:
        return f"{self.item_id} {self.outcome}"


class Erasure(models.Model):
    """One person's request to erase an item with every exact copy of it, and a second person's decision."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    item = models.ForeignKey(Item, models.PROTECT, related_name="erasures")
    accessions = ArrayField(models.CharField(max_length=30), help_text="the item and its exact copies, as requested")
    ground = models.CharField(_("ground"), max_length=20, choices=ErasureGround.choices)
    reason = models.TextField(
        _("reason"),
        max_length=2_000,
        validators=[MaxLengthValidator(2_000)],
        help_text=_("It outlives the item: say nothing of what the item shows, and no name."),
    )
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    requested_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=ErasureState.choices, default=ErasureState.WAITING)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    decision = models.CharField(_("reason"), max_length=500, blank=True)
    objects_left = ArrayField(models.CharField(max_length=64), default=list, help_text="addresses still to be deleted")
    finished_at = models.DateTimeField(
        null=True, blank=True, help_text="when the last trace outside the ledger was gone"
    )
    locked_until = models.DateTimeField(
        null=True, blank=True, help_text="until when a store keeps ciphertext of it, without a key, against deletion"
    )

    class Meta:
        ordering = ["-requested_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["item"], condition=models.Q(state="waiting"), name="erasure_asked_once")
        ]

    def __str__(self) -> str:
        return f"{self.item_id} {self.state}"


class WantedCopy(models.Model):
    """A copy that a store does not have, or has not good: what the job of evidence.copies works on.

    No row is the rule: every store holds every object. The address is no foreign key, since erasing deletes blobs.
    """

    id = models.BigAutoField(primary_key=True)
    address = models.CharField(max_length=64)
    store = models.CharField(max_length=39)
    reason = models.CharField(max_length=12, choices=CopyReason.choices)
    since = models.DateTimeField(auto_now_add=True)
    next_try_at = models.DateTimeField()
    tries = models.IntegerField(default=0)
    started = models.BooleanField(default=False, help_text="bytes may have been written that nothing records yet")
    problem = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["address", "store"], name="copy_wanted_once")]
        indexes = [models.Index(fields=["next_try_at", "id"], name="copy_wanted_next")]

    def __str__(self) -> str:
        return f"{self.address} {self.store}"


class StoreCheck(models.Model):
    """What a store did when it was asked whether it keeps its word (evidence.store_probes)."""

    id = models.BigAutoField(primary_key=True)
    store = models.CharField(max_length=39)
    place = models.CharField(max_length=500, help_text="where it was, without secrets")
    at = models.DateTimeField()
    passed = models.BooleanField()
    failed = ArrayField(models.CharField(max_length=200), default=list)

    class Meta:
        indexes = [models.Index(fields=["store", "-at"], name="store_check_newest")]

    def __str__(self) -> str:
        return f"{self.store} {self.at:%Y-%m-%d} {'passed' if self.passed else 'failed'}"
