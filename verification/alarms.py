"""The ledger's alarms in words: what each kind means, and what whoever reads it does now."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from custody.alarm import Alarm, Kind

_LOOK_FIRST = _(
    "Run a verification of the ledger, keep its report and a copy of the database, and do not repair the tables before "
    "somebody has looked at them."
)
MEANINGS = {
    Kind.WENT_BACKWARDS: (
        _("The ledger went backwards: entries that were signed are gone"),
        _("An old copy of the database was put in place of the present one, or entries were deleted."),
    ),
    Kind.REWRITTEN: (
        _("The ledger was rewritten after it was signed"),
        _("What stands there agrees with itself and not with what was signed: that is no accident."),
    ),
    Kind.MISSING: (
        _("A part of the ledger is missing"),
        _("A row was deleted, or the disk lost it."),
    ),
    Kind.DAMAGED: (
        _("The ledger is damaged: it is not what was signed"),
        _("Stored bytes and the hash kept beside them disagree: a failing disk does this, and so does a hasty hand."),
    ),
    Kind.MEMORY_LOST: (
        _("The signer has lost its memory"),
        _("It no longer knows what it signed, or an old copy of its folder was put back. It does not begin anew."),
    ),
    Kind.CLOCK: (
        _("The signer’s clock was set"),
        _("Times of signatures would no longer be in order. Set the clock right, then accept it."),
    ),
    Kind.RIVAL: (
        _("Another signer is at work with the same key"),
        _("Two copies of the signer run, or its key was taken. Stop the one that is not meant to be."),
    ),
    Kind.VALUES: (
        _("A value beside the ledger is not what was recorded"),
        _("The ledger is whole, and heads are signed. A row or a sealed value beside it was changed or is gone."),
    ),
    Kind.QUARANTINED: (
        _("Events are kept out of the ledger"),
        _("They are not as this archive records them: somebody put them in, or changed them while they waited."),
    ),
    Kind.BROKEN: (
        _("The ledger is not what was signed"),
        _("The log of the process says more."),
    ),
}
#: Kinds about the signer itself: the tables are not in question.
_OF_THE_SIGNER = {Kind.MEMORY_LOST, Kind.CLOCK, Kind.RIVAL}


@dataclass(frozen=True)
class ToldAlarm:
    """An alarm with its title, what it means, and what to do."""

    alarm: Alarm
    title: str
    meaning: str
    advice: str

    @property
    def signs(self) -> bool:
        """Whether heads are signed all the same."""
        return self.alarm.kind in (Kind.VALUES, Kind.QUARANTINED)


def told(alarms: Sequence[Alarm]) -> Sequence[ToldAlarm]:
    """In words, in the reader's language, as they come."""
    return [
        ToldAlarm(
            alarm,
            str(MEANINGS[alarm.kind][0]),
            str(MEANINGS[alarm.kind][1]),
            str(_("The guide to the ledger’s keys says what to do.") if alarm.kind in _OF_THE_SIGNER else _LOOK_FIRST),
        )
        for alarm in alarms
    ]
