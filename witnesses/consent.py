"""What a witness's consent covers: the one place that decides whether an item may be shown or given to somebody.

A witness may have agreed several times; the newest consent counts, alone. When it ends or is withdrawn, an older one
does not come back.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.utils.translation import gettext as _

from evidence.media_types import canonical
from evidence.models import Item
from witnesses.models import Consent, Recording, Testimony, Witness
from witnesses.vocabulary import MEDIUM_OF_KIND, ConsentState, IdentityLevel, Medium, Purpose, RecipientKind

ENDS_SOON = timedelta(days=60)

#: How the names of types begin whose bytes are writing; a type that is neither these nor a picture, film or sound is
#: unknown, and unknown is refused.
_WRITTEN = (
    "text/",
    "application/epub",
    "application/json",
    "application/msword",
    "application/ndjson",
    "application/pdf",
    "application/rtf",
    "application/vnd.ms-excel",
    "application/vnd.ms-office",
    "application/vnd.ms-powerpoint",
    "application/vnd.ms-word",
    "application/vnd.oasis.opendocument.",
    "application/vnd.openxmlformats-officedocument.",
    "application/xhtml+xml",
    "application/xml",
)


@dataclass(frozen=True)
class Decision:
    """Whether it may be, why (in the reader's language, pseudonyms only), and the consents that were asked."""

    allowed: bool
    reasons: tuple[str, ...]
    consents: tuple[Consent, ...] = ()


def covers(item: Item, *, purpose: str, recipient: str | Collection[str], at: datetime) -> Decision:
    """Whether an item may go to a recipient for a purpose at a moment.

    `purpose` is a Purpose. `recipient` is a RecipientKind, a recipient's own name, or several of these for one
    recipient, of which one must be agreed to. Every testimony the item is a recording of must allow it; an item that
    is no recording involves no witness, and a link that a protection officer withdrew makes none. A recording's form is
    told by its examined bytes and by its kind: consent must carry both, and nothing goes before the bytes are known.
    A signed consent form names the witness and is never given on. An exact duplicate is what its original is.
    Raises ValueError for a purpose that is none.
    """
    purpose = Purpose(purpose)
    wanted = {recipient} if isinstance(recipient, str) else set(recipient)
    same = _same_bytes(item)
    if Consent.objects.filter(form_item__in=same).exists():
        return Decision(False, (_("This is a signed consent form: it names the witness and never leaves."),))
    testimonies = _recorded_on(same)
    if not testimonies:
        return Decision(True, (_("No witness: this item is not a recording of a testimony."),))
    newest = newest_consents({testimony.witness_id for testimony in testimonies}, at)
    refusals: list[str] = []
    grounds: list[str] = []
    for testimony in testimonies:
        consent = newest.get(testimony.witness_id)
        refusal = _refusal(consent, purpose, wanted, at) or _unknown(item) or _form_refusal(consent, _media(item))
        if refusal:
            refusals.append(f"{testimony.witness.pseudonym}: {refusal}")
        else:
            grounds.append(_("%(witness)s agreed to this use.") % {"witness": testimony.witness.pseudonym})
    asked = tuple(dict.fromkeys(newest.values()))
    return Decision(not refusals, tuple(dict.fromkeys(refusals or grounds)), asked)


def covers_testimony(testimony: Testimony, *, purpose: str, recipient: str | Collection[str], at: datetime) -> Decision:
    """The same for the written text of a testimony."""
    purpose = Purpose(purpose)
    wanted = {recipient} if isinstance(recipient, str) else set(recipient)
    consent = newest_consents({testimony.witness_id}, at).get(testimony.witness_id)
    refusal = _refusal(consent, purpose, wanted, at) or _form_refusal(consent, (Medium.WRITTEN,))
    asked = (consent,) if consent else ()
    if refusal:
        return Decision(False, (f"{testimony.witness.pseudonym}: {refusal}",), asked)
    return Decision(True, (_("%(witness)s agreed to this use.") % {"witness": testimony.witness.pseudonym},), asked)


def newest_consents(witnesses: Collection[UUID], at: datetime) -> dict[UUID, Consent]:
    """The newest consent of each witness that was known to the archive at the moment, whatever became of it."""
    rows = Consent.objects.filter(witness_id__in=witnesses, recorded_at__lte=at)
    newest = rows.order_by("witness_id", "-given_earliest", "-recorded_at", "-id").distinct("witness_id")
    return {consent.witness_id: consent for consent in newest.select_related("witness")}


def state_of(consent: Consent | None, at: datetime) -> ConsentState:
    """Where a witness's newest consent stands at a moment. The moment of expiry is already outside."""
    if consent is None:
        return ConsentState.NONE
    if consent.withdrawn_at is not None and consent.withdrawn_at <= at:
        return ConsentState.WITHDRAWN
    if consent.expires_at is None:
        return ConsentState.IN_FORCE
    if consent.expires_at <= at:
        return ConsentState.EXPIRED
    return ConsentState.EXPIRING if consent.expires_at - at <= ENDS_SOON else ConsentState.IN_FORCE


def states(witnesses: Iterable[Witness], at: datetime) -> dict[UUID, tuple[ConsentState, Consent | None]]:
    """{witness: (state, newest consent)} in one query, for lists."""
    ids = [witness.id for witness in witnesses]
    newest = newest_consents(ids, at)
    return {pk: (state_of(newest.get(pk), at), newest.get(pk)) for pk in ids}


def _same_bytes(item: Item) -> list[UUID]:
    twins = Item.objects.filter(compartment_id=item.compartment_id, sha256=item.sha256, sha512=item.sha512)
    return list(twins.values_list("pk", flat=True))


def _recorded_on(items: Collection[UUID]) -> list[Testimony]:
    links = Recording.objects.filter(item_id__in=items, withdrawn_at__isnull=True)
    testimonies = Testimony.objects.filter(pk__in=links.values("testimony_id"))
    return list(testimonies.select_related("witness").order_by("number"))


def _refusal(consent: Consent | None, purpose: Purpose, wanted: set[str], at: datetime) -> str:
    """Why this consent does not carry the use, or ""."""
    state = state_of(consent, at)
    if consent is None:
        return _("no consent is recorded.")
    if state == ConsentState.WITHDRAWN:
        return _("consent was withdrawn.")
    if state == ConsentState.EXPIRED:
        return _("consent has expired.")
    if consent.identity_level == IdentityLevel.NOT_AT_ALL:
        return _("nothing of this testimony may leave the archive.")
    if purpose not in consent.purposes:
        return _("this purpose was not agreed to: %(purpose)s.") % {"purpose": purpose.label}
    agreed = set(consent.recipients) | {_plain(name) for name in consent.named_recipients}
    if not agreed & (wanted | {_plain(name) for name in wanted}):
        return _("this recipient was not agreed to: %(recipient)s.") % {"recipient": _recipient_words(wanted)}
    return ""


def _unknown(item: Item) -> str:
    """Why it is not settled what the bytes of a recording are, or ""."""
    if item.examined_at is None:
        return _("this item has not been examined yet, so it cannot be given on.")
    if item.type_conflict:
        return _("two identifiers disagree about what this item is, so it cannot be given on.")
    return ""


def _media(item: Item) -> tuple[Medium | None, ...]:
    """The forms of a recording, by its bytes and by its kind: people choose the kind, so it alone proves nothing."""
    return (_medium_of_type(item.media_type), MEDIUM_OF_KIND.get(item.kind))


def _medium_of_type(media_type: str) -> Medium | None:
    plain = canonical(media_type)
    if plain.startswith(_WRITTEN):
        return Medium.WRITTEN
    return {"image": Medium.PHOTO, "video": Medium.VIDEO, "audio": Medium.AUDIO}.get(plain.partition("/")[0])


def _form_refusal(consent: Consent | None, media: Collection[Medium | None]) -> str:
    """Why one of the forms of the thing is not carried, or ""."""
    assert consent is not None  # _refusal spoke first
    for medium in media:
        if medium is None:
            return _("it is not known yet what this item is, so it cannot be given on.")
        if consent.identity_level == IdentityLevel.ANONYMOUS and medium != Medium.WRITTEN:
            return _("only anonymous use was agreed to, and this recording shows a face or a voice.")
        if medium not in consent.recording_media:
            return _("this form was not agreed to: %(medium)s.") % {"medium": medium.label}
    return ""


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())


def _recipient_words(wanted: set[str]) -> str:
    kinds = {kind.value: str(kind.label) for kind in RecipientKind}
    return ", ".join(sorted(kinds.get(name, name) for name in wanted))
