"""Witnesses, the fenced record of who they are, what they stated, and what they agreed to."""

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import get_language_info
from django.utils.translation import gettext_lazy as _

from accounts.models import Compartment
from custody import seal
from evidence.models import Item, Located
from witnesses.vocabulary import (
    AgeBand,
    Guardian,
    IdentityLevel,
    Medium,
    Purpose,
    RecipientKind,
    Status,
    Vulnerability,
    WitnessKind,
)


def language_name(code: str) -> str:
    """The name of a language in the reader's own, by its code; the code where it has none here."""
    try:
        return str(get_language_info(code.strip().lower())["name_translated"])
    except KeyError:
        return code


class Numbering(models.Model):
    """The last pseudonym and the last testimony number given in a compartment."""

    compartment = models.OneToOneField(Compartment, models.PROTECT, primary_key=True, related_name="+")
    witnesses = models.PositiveIntegerField(default=0)
    testimonies = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.compartment_id} W-{self.witnesses:04d} T-{self.testimonies:04d}"


class Witness(models.Model):
    """A person who testifies, known by a pseudonym. Who it is stands in the vault and nowhere else."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    compartment = models.ForeignKey(Compartment, models.PROTECT, related_name="witnesses")
    pseudonym = models.CharField(_("pseudonym"), max_length=12)
    kind = models.CharField(_("how they know"), max_length=12, choices=WitnessKind.choices)
    age_band = models.CharField(_("age"), max_length=8, blank=True, choices=AgeBand.choices)
    vulnerabilities = ArrayField(
        models.CharField(max_length=20, choices=Vulnerability.choices),
        verbose_name=_("care needed"),
        default=list,
        blank=True,
    )
    opened_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    opened_at = models.DateTimeField(_("opened"))

    class Meta:
        ordering = ["compartment__code", "pseudonym"]
        constraints = [models.UniqueConstraint(fields=["compartment", "pseudonym"], name="pseudonym_once")]

    def __str__(self) -> str:
        return self.pseudonym

    @property
    def vulnerability_labels(self) -> list[str]:
        return [str(Vulnerability(value).label) for value in self.vulnerabilities]


class Identity(models.Model):
    """That the vault holds an identity. Its revisions are sealed under this record's own key, not the witness's."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    witness = models.OneToOneField(Witness, models.PROTECT, related_name="identity")
    recorded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "identities"

    def __str__(self) -> str:
        return str(self.id)


class IdentityRevision(models.Model):
    """One sealed state of an identity. Insert only (witnesses/sql/insert_only.sql)."""

    identity = models.ForeignKey(Identity, models.PROTECT, related_name="revisions")
    number = models.PositiveIntegerField()
    sealed = models.BinaryField(help_text="JSON of witnesses.identity.RealIdentity")
    at = models.DateTimeField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["identity", "number"], name="identity_revision_once")]

    def __str__(self) -> str:
        return f"{self.identity_id} {self.number}"


class NameToken(models.Model):
    """One entry of the blind index: HMAC-SHA-256 of a normalised name under a key that is not in the database."""

    identity = models.ForeignKey(Identity, models.PROTECT, related_name="tokens")
    token = models.BinaryField(max_length=32)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["token", "identity"], name="name_token_once")]

    def __str__(self) -> str:
        return f"{self.identity_id}"


class Testimony(Located):
    """What a witness stated in one interview. Its text is sealed under its own key, every revision kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    compartment = models.ForeignKey(Compartment, models.PROTECT, related_name="testimonies")
    witness = models.ForeignKey(Witness, models.PROTECT, related_name="testimonies")
    number = models.CharField(_("number"), max_length=12)
    interview_edtf = models.CharField(_("date of the interview"), max_length=60)
    interview_earliest = models.DateField(null=True, blank=True)
    interview_latest = models.DateField(null=True, blank=True)
    language = models.CharField(_("language spoken"), max_length=35, help_text=_("For example ar, apc, ku, en, fr."))
    interpreter = models.CharField(
        _("interpreter"), max_length=120, blank=True, help_text=_("A pseudonym or an agency; empty without one.")
    )
    interviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("interviewer")
    )
    others_present = models.CharField(
        _("others present"), max_length=300, blank=True, help_text=_("By function or pseudonym, never by name.")
    )
    status = models.CharField(_("status"), max_length=8, choices=Status.choices, default=Status.OPEN)
    recorded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField()
    sealed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    sealed_at = models.DateTimeField(null=True, blank=True)

    class Meta(Located.Meta):
        abstract = False
        ordering = ["-recorded_at", "-id"]
        verbose_name_plural = "testimonies"
        constraints = [
            *Located.Meta.constraints,
            models.UniqueConstraint(fields=["compartment", "number"], name="testimony_number_once"),
        ]
        indexes = [models.Index(fields=["compartment", "-recorded_at"], name="testimony_newest")]

    def __str__(self) -> str:
        return self.number

    @property
    def summary_title(self) -> str:
        """Neutral by construction: a title never says who or what."""
        return _("Testimony %(number)s") % {"number": self.number}

    @property
    def sealed(self) -> bool:
        return self.status == Status.SEALED


class TestimonyRevision(models.Model):
    """One state of a testimony's text; after sealing, a correction. Insert only (witnesses/sql/insert_only.sql)."""

    testimony = models.ForeignKey(Testimony, models.PROTECT, related_name="revisions")
    number = models.PositiveIntegerField()
    sealed_text = models.BinaryField(help_text="UTF-8, sealed under the testimony's key")
    correction = models.BooleanField(default=False)
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    at = models.DateTimeField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["testimony", "number"], name="testimony_revision_once")]

    def __str__(self) -> str:
        return f"{self.testimony_id} {self.number}"

    @property
    def text(self) -> str:
        """The words. Raises custody.seal.SealBroken when they were changed in the database or their key destroyed."""
        return seal.unseal(self.testimony_id, text_label(self.number), bytes(self.sealed_text)).decode()


def text_label(number: int) -> str:
    """What a revision's sealed text is bound to: it opens as no other revision."""
    return f"testimony/text/{number}"


class Recording(models.Model):
    """An item is a recording of a testimony. A withdrawn link stays as a row."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    testimony = models.ForeignKey(Testimony, models.PROTECT, related_name="recordings")
    item = models.ForeignKey(Item, models.PROTECT, related_name="testimony_links")
    linked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    linked_at = models.DateTimeField()
    withdrawn_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["linked_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["testimony", "item"], condition=models.Q(withdrawn_at__isnull=True), name="recording_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.testimony_id} {self.item_id}"


class Consent(models.Model):
    """What a witness agreed to: for what, to whom, how shown, until when. The newest one counts, alone."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    witness = models.ForeignKey(Witness, models.PROTECT, related_name="consents")
    purposes = ArrayField(
        models.CharField(max_length=24, choices=Purpose.choices), verbose_name=_("purposes"), default=list, blank=True
    )
    recipients = ArrayField(
        models.CharField(max_length=24, choices=RecipientKind.choices),
        verbose_name=_("recipients"),
        default=list,
        blank=True,
    )
    named_recipients = ArrayField(
        models.CharField(max_length=120), verbose_name=_("recipients by name"), default=list, blank=True
    )
    identity_level = models.CharField(_("how they may appear"), max_length=12, choices=IdentityLevel.choices)
    recording_media = ArrayField(
        models.CharField(max_length=8, choices=Medium.choices),
        verbose_name=_("forms that may be given on"),
        default=list,
        blank=True,
    )
    recontact = models.BooleanField(_("may be contacted again"), default=False)
    language = models.CharField(_("language of the explanation"), max_length=35)
    interpreter = models.CharField(_("interpreter"), max_length=120, blank=True)
    explained_by = models.CharField(_("explained by"), max_length=120)
    form_version = models.CharField(_("version of the form"), max_length=40)
    form_item = models.ForeignKey(
        Item, models.PROTECT, null=True, blank=True, related_name="consent_forms", verbose_name=_("signed form")
    )
    guardian = models.CharField(_("guardian who agreed"), max_length=10, blank=True, choices=Guardian.choices)
    given_edtf = models.CharField(_("given on"), max_length=60)
    given_earliest = models.DateField()
    given_latest = models.DateField()
    expires_at = models.DateTimeField(_("ends"), null=True, blank=True)
    recorded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField()
    withdrawn_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawal_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-given_earliest", "-recorded_at"]
        indexes = [models.Index(fields=["witness", "-given_earliest", "-recorded_at"], name="consent_newest")]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def language_name(self) -> str:
        return language_name(self.language)

    @property
    def purpose_labels(self) -> list[str]:
        return [str(Purpose(value).label) for value in self.purposes]

    @property
    def recipient_labels(self) -> list[str]:
        """Kinds of recipients by their label, then those agreed to by name."""
        return [*(str(RecipientKind(value).label) for value in self.recipients), *self.named_recipients]

    @property
    def medium_labels(self) -> list[str]:
        return [str(Medium(value).label) for value in self.recording_media]
