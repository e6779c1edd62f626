"""Closed lists of the incidents app; each value is stored, shown by its label, and never re-used."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Status(models.TextChoices):
    """Where the work on an incident stands. incidents.state says what may follow what."""

    DRAFT = "draft", _("Draft")
    OPEN = "open", _("Open")
    UNDER_REVIEW = "under_review", _("Under review")
    CLOSED = "closed", _("Closed")


class Stance(models.TextChoices):
    """What an item does for what is said of an incident."""

    SUPPORTS = "supports", _("Supports")
    CONTRADICTS = "contradicts", _("Contradicts")
    CONTEXT = "context", _("Context")
    EXCULPATORY = "exculpatory", _("Exculpatory")


class Reliability(models.TextChoices):
    """How far a source can be relied on, apart from what it says this time (the Admiralty grading's letter)."""

    A = "A", _("A – reliable")
    B = "B", _("B – usually reliable")
    C = "C", _("C – fairly reliable")
    D = "D", _("D – not usually reliable")
    E = "E", _("E – unreliable")
    F = "F", _("F – cannot be judged")


class Credibility(models.IntegerChoices):
    """How credible this piece of information is, whoever gives it (the Admiralty grading's number)."""

    CONFIRMED = 1, _("1 – confirmed by others")
    PROBABLE = 2, _("2 – probably true")
    POSSIBLE = 3, _("3 – possibly true")
    DOUBTFUL = 4, _("4 – doubtful")
    IMPROBABLE = 5, _("5 – improbable")
    UNJUDGED = 6, _("6 – cannot be judged")


class Measure(models.TextChoices):
    """What a claim counts. Only claims of one measure are drawn on one scale, and even those are never added."""

    KILLED = "killed", _("Killed")
    INJURED = "injured", _("Injured")
    MISSING = "missing", _("Missing")
    DETAINED = "detained", _("Detained")
    DISPLACED = "displaced", _("Displaced")
    HOMES = "homes", _("Homes damaged or burned")
    OTHER = "other", _("Other")


class Counting(models.TextChoices):
    """How a source came to its number."""

    UNKNOWN = "", _("Not stated")
    NAMED = "named", _("Named: a list of names stands behind the number")
    COUNTED = "counted", _("Counted: a number without a list of names")


class Dimension(models.TextChoices):
    """By what a claim's number is broken down."""

    OTHER = "", _("Other")
    AREA = "area", _("Area")
    STATUS = "status", _("Civilian or combatant")
    SEX = "sex", _("Sex")
    AGE = "age", _("Age band")


class Governorate(models.TextChoices):
    """Syria's governorates by ISO 3166-2 code."""

    UNKNOWN = "", _("Not stated")
    DAMASCUS = "SY-DI", _("Damascus")
    DARAA = "SY-DR", _("Daraa")
    DEIR_EZ_ZOR = "SY-DY", _("Deir ez-Zor")
    HASAKAH = "SY-HA", _("Hasakah")
    HOMS = "SY-HI", _("Homs")
    ALEPPO = "SY-HL", _("Aleppo")
    HAMA = "SY-HM", _("Hama")
    IDLIB = "SY-ID", _("Idlib")
    LATAKIA = "SY-LA", _("Latakia")
    QUNEITRA = "SY-QU", _("Quneitra")
    RAQQA = "SY-RA", _("Raqqa")
    RIF_DIMASHQ = "SY-RD", _("Rif Dimashq")
    SUWAYDA = "SY-SU", _("Suwayda")
    TARTUS = "SY-TA", _("Tartus")


class UploadState(models.TextChoices):
    """What becomes of a file that arrives in parts."""

    RECEIVING = "receiving", _("arriving")
    FINISHING = "finishing", _("arrived, being checked")
    HELD = "held", _("held")
    FAILED = "failed", _("not taken")
    EXPIRED = "expired", _("expired")
