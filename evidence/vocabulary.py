"""Closed lists of the evidence app; each value is stored, shown by its label, and never re-used."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Kind(models.TextChoices):
    """What an item is, as evidence."""

    UNDETERMINED = "undetermined", _("Not determined")
    PHOTO = "photo", _("Photograph")
    VIDEO = "video", _("Video")
    AUDIO = "audio", _("Audio")
    DOCUMENT = "document", _("Document")
    TEXT = "text", _("Text")
    WEB_CAPTURE = "web_capture", _("Web capture")
    PHYSICAL = "physical", _("Physical item (record of)")
    OTHER = "other", _("Other")


class DateBasis(models.TextChoices):
    """Why we think a date is so."""

    UNKNOWN = "", _("Not stated")
    DEVICE = "device", _("Claimed by the device")
    FILE = "file", _("Claimed by the file system")
    SOURCE = "source", _("Said by the source")
    PLATFORM = "platform", _("Shown by the platform")
    ANALYST = "analyst", _("Concluded by an analyst")


class Precision(models.TextChoices):
    """How exactly a place is known, with the radius drawn on a map in metres."""

    EXACT = "exact", _("Exact (10 m)")
    VICINITY = "vicinity", _("Vicinity (100 m)")
    LOCALITY = "locality", _("Locality (1 km)")
    DISTRICT = "district", _("District (10 km)")
    REGION = "region", _("Region (50 km)")

    @property
    def metres(self) -> int:
        return {"exact": 10, "vicinity": 100, "locality": 1_000, "district": 10_000, "region": 50_000}[self.value]


class SourceKind(models.TextChoices):
    UNKNOWN = "", _("Not stated")
    EYEWITNESS = "eyewitness", _("Eyewitness")
    FAMILY = "family", _("Family of a victim")
    LOCAL_GROUP = "local_group", _("Local group")
    JOURNALIST = "journalist", _("Journalist")
    ORGANISATION = "organisation", _("Organisation")
    OPEN_SOURCE = "open_source", _("Open source (published online)")
    OFFICIAL = "official", _("Official body")
    OWN = "own", _("Made by our own team")


class Method(models.TextChoices):
    """How the digital copy was made at the source (ISO/IEC 27037 acquisition)."""

    UNKNOWN = "", _("Not stated")
    HANDED_OVER = "handed_over", _("Handed over by the source")
    MESSAGE = "message", _("Received by message")
    DOWNLOADED = "downloaded", _("Downloaded")
    WEB_CAPTURE = "web_capture", _("Captured from the web")
    RECORDED = "recorded", _("Recorded by our team")
    DEVICE_COPY = "device_copy", _("Copied from a device")
    SCANNED = "scanned", _("Scanned or photographed")


class FixityOutcome(models.TextChoices):
    """The result of one fixity check; each says what was found."""

    OK = "ok", _("Verified")
    CHANGED = "changed", _("Stored bytes were changed")
    MISSING = "missing", _("Stored bytes are missing")
    UNREADABLE = "unreadable", _("Stored bytes could not be read")
    RECORD = "record", _("The database record differs from the ledger")
    LEDGER = "ledger", _("The ledger does not prove the reception")
    PENDING = "pending", _("Not yet inside a signed checkpoint")
    ERASED = "erased", _("Erased, and the ledger explains every absence")


class CopyReason(models.TextChoices):
    """Why a store is to get a copy."""

    LATE = "late", _("Not copied yet")
    MISSING = "missing", _("Stored bytes are missing")
    CHANGED = "changed", _("Stored bytes were changed")
    UNREADABLE = "unreadable", _("Stored bytes could not be read")


class ErasureGround(models.TextChoices):
    """Why something may, or must, be erased. It is shown for good in the place of the item."""

    CONSENT = "consent", _("Consent was withdrawn")
    PERSON = "person", _("A person it concerns asked for it")
    SAFETY = "safety", _("It puts somebody in danger")
    UNLAWFUL = "unlawful", _("It was obtained or is held without a right to it")
    ORDER = "order", _("A court or an authority ordered it")
    PURPOSE = "purpose", _("It serves none of the archive's purposes")


class ErasureState(models.TextChoices):
    """How far a request for erasure has come."""

    WAITING = "waiting", _("Waits for a second person")
    WITHDRAWN = "withdrawn", _("Withdrawn")
    REFUSED = "refused", _("Refused")
    DONE = "done", _("Erased")
