"""Closed lists of the cases app."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Forum(models.TextChoices):
    """Where the matter is, or may be, heard."""

    DOMESTIC = "domestic", _("Domestic court")
    UNIVERSAL = "universal", _("Foreign court (universal jurisdiction)")
    INTERNATIONAL = "international", _("International court")
    UN_BODY = "un_body", _("UN investigative body")
    TRUTH = "truth", _("Truth or fact-finding commission")
    INTERNAL = "internal", _("Internal analysis")


class Category(models.TextChoices):
    """What an exhibit does for the case. Exculpatory material is a category, not an omission."""

    INCULPATORY = "inculpatory", _("Inculpatory")
    EXCULPATORY = "exculpatory", _("Exculpatory")
    CRIME_BASE = "crime_base", _("Crime base")
    LINKAGE = "linkage", _("Linkage")
    CONTEXT = "context", _("Context")


class Assessment(models.TextChoices):
    """The reviewer's code."""

    RELEVANT = "relevant", _("Relevant")
    KEY = "key", _("Key evidence")
    CORROBORATES = "corroborates", _("Corroborates")
    DOUBTFUL = "doubtful", _("Doubtful, needs work")
    NOT_RELEVANT = "not_relevant", _("Not relevant")
    PRIVILEGED = "privileged", _("Privileged or protected")


class Status(models.TextChoices):
    OPEN = "open", _("Open")
    CLOSED = "closed", _("Closed")


class ExportState(models.TextChoices):
    WAITING = "waiting", _("Waiting")
    BUILDING = "building", _("Building")
    READY = "ready", _("Ready")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")
    DESTROYED = "destroyed", _("Destroyed with an erased item")
