"""Closed lists of the witnesses app; each value is stored, shown by its label, and never re-used."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from evidence.vocabulary import Kind

#: Which words the printed consent form has; raised whenever they change.
FORM_VERSION = "sanad-1"


class WitnessKind(models.TextChoices):
    """How a person knows what they tell."""

    EYEWITNESS = "eyewitness", _("Eyewitness")
    SURVIVOR = "survivor", _("Survivor")
    FAMILY = "family", _("Family of a victim")
    INSIDER = "insider", _("Insider")
    RESPONDER = "responder", _("First responder or health worker")
    EXPERT = "expert", _("Expert")
    OTHER = "other", _("Other")


class AgeBand(models.TextChoices):
    """Never an age: a band, wide enough not to point at one person."""

    UNKNOWN = "", _("Not stated")
    CHILD = "child", _("Under 18")
    YOUNG = "young", _("18 to 29")
    ADULT = "adult", _("30 to 59")
    ELDER = "elder", _("60 and over")


class Vulnerability(models.TextChoices):
    """What whoever meets this person again must know beforehand; nothing more is kept."""

    MINOR = "minor", _("Child: a guardian is needed")
    TRAUMA = "trauma", _("Risk of re-traumatisation")
    SEXUAL_VIOLENCE = "sexual_violence", _("Survivor of sexual violence: follow the Murad Code")
    THREATENED = "threatened", _("Threatened or at risk of reprisal")
    DISPLACED = "displaced", _("Displaced")
    HEALTH = "health", _("Illness or disability")


class Status(models.TextChoices):
    OPEN = "open", _("Open")
    SEALED = "sealed", _("Sealed")


class Purpose(models.TextChoices):
    """What the witness agreed their words may be used for."""

    DOCUMENTATION = "documentation", _("Documentation and human rights reporting")
    ADVOCACY = "advocacy", _("Advocacy")
    DOMESTIC_PROSECUTION = "domestic_prosecution", _("Prosecution before a national court")
    INTERNATIONAL_COURT = "international_court", _("Proceedings before an international court")
    UN_MECHANISM = "un_mechanism", _("United Nations mechanism or commission of inquiry")
    TRUTH_COMMISSION = "truth_commission", _("National committee or truth commission")
    MISSING_PERSONS = "missing_persons", _("Search for missing persons")
    MEDIA = "media", _("Publication in the media")
    RESEARCH = "research", _("Research and history")


class RecipientKind(models.TextChoices):
    """To whom they may be given."""

    OWN_TEAM = "own_team", _("This archive's own team")
    PARTNER_NGO = "partner_ngo", _("Partner organisations")
    LAWYERS = "lawyers", _("Lawyers of victims")
    NATIONAL_AUTHORITY = "national_authority", _("National prosecutors and courts")
    FOREIGN_AUTHORITY = "foreign_authority", _("Prosecutors and courts of other states")
    INTERNATIONAL_COURT = "international_court", _("International courts and their prosecutors")
    UN_MECHANISM = "un_mechanism", _("United Nations mechanisms")
    JOURNALISTS = "journalists", _("Journalists")
    PUBLIC = "public", _("The public")


class IdentityLevel(models.TextChoices):
    """How the witness may appear to a recipient."""

    NAMED = "named", _("By name")
    PSEUDONYM = "pseudonym", _("Under a pseudonym")
    ANONYMOUS = "anonymous", _("Anonymously: nothing that identifies, neither face nor voice")
    NOT_AT_ALL = "not_at_all", _("Not at all: nothing leaves the archive")


class Medium(models.TextChoices):
    """In which form the recording may be given on."""

    WRITTEN = "written", _("In writing")
    AUDIO = "audio", _("Sound recording")
    VIDEO = "video", _("Video recording")
    PHOTO = "photo", _("Photographs")


class Guardian(models.TextChoices):
    """Who agreed for a child, by relation only: a guardian's name belongs in the identity vault."""

    NONE = "", _("No guardian needed")
    MOTHER = "mother", _("Mother")
    FATHER = "father", _("Father")
    RELATIVE = "relative", _("Another relative")
    LEGAL = "legal", _("Legal guardian")


class ConsentState(models.TextChoices):
    """Where a witness's consent stands at one moment."""

    NONE = "none", _("No consent recorded")
    IN_FORCE = "in_force", _("Consent in force")
    EXPIRING = "expiring", _("Consent ends soon")
    EXPIRED = "expired", _("Consent expired")
    WITHDRAWN = "withdrawn", _("Consent withdrawn")
    REPLACED = "replaced", _("Replaced by a newer consent")

    @property
    def tone(self) -> str:
        """How a badge shows it; the label always says it too."""
        tones = {"none": "warn", "in_force": "ok", "expiring": "warn", "expired": "danger", "withdrawn": "danger"}
        return tones.get(self.value, "")


#: The form in which an item of a kind would be given on; other kinds are not known well enough to be given.
MEDIUM_OF_KIND: dict[str, Medium] = {
    Kind.PHOTO: Medium.PHOTO,
    Kind.VIDEO: Medium.VIDEO,
    Kind.AUDIO: Medium.AUDIO,
    Kind.DOCUMENT: Medium.WRITTEN,
    Kind.TEXT: Medium.WRITTEN,
}
