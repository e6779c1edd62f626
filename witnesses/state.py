"""When a testimony may change. Open: text and particulars are revised. Sealed: only visible corrections are added."""

from django.utils.translation import gettext as _

from accounts.permissions import NotNow
from witnesses.models import Testimony

#: {status: acts possible in it}
ACTS = {
    "open": frozenset({"describe", "revise", "seal", "link_recording", "withdraw_recording"}),
    "sealed": frozenset({"correct", "link_recording"}),
}


def require_act(testimony: Testimony, act: str) -> None:
    """Raises NotNow, saying what to do instead, when the testimony is not in a state for the act."""
    if act in ACTS[testimony.status]:
        return
    if act == "correct":
        raise NotNow(_("This testimony is not sealed: revise its text instead."))
    if act == "seal":
        raise NotNow(_("This testimony is sealed already."))
    raise NotNow(_("This testimony is sealed. What must be put right is added as a correction."))
