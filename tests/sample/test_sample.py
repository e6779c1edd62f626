"""The sample archive: whole or not at all, true to what it quotes, and with no name where none may stand."""

import io
import json
import stat
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from accounts.models import Compartment, Grant, Role, User
from accounts.permissions import Refused
from archive.sample.claims import CLAIMS
from archive.sample.holdings import PIECES
from archive.sample.incidents import FICTION, INCIDENTS
from archive.sample.testimonies import VOICES
from cases.coverage import refused
from cases.models import CaseFile, Exhibit
from custody import sequencer, signer, verify
from custody.models import Entry, Event, Pending
from custody.vocabulary import Type
from evidence import blobs, tasks
from evidence.actions import verify_item
from evidence.media_types import is_text
from evidence.models import FixityCheck, Item
from evidence.vocabulary import FixityOutcome, Kind
from incidents.models import Claim, Incident, Link
from incidents.vocabulary import Stance, Status
from verification.models import Run
from witnesses.consent import state_of
from witnesses.models import Consent, Identity, Testimony, Witness
from witnesses.vocabulary import ConsentState

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def made(made_for_all: tuple[Path, dict[Path, bytes]]) -> Path:
    """The credentials of the sample, which is made once for this module; what a test changes is rolled back."""
    credentials, signer_memory = made_for_all
    for path, content in signer_memory.items():
        path.touch(mode=0o600)
        path.write_bytes(content)
    return credentials


def plain_texts() -> dict[str, str]:
    """Every column of the database as text, by table: bytes as hex, as whoever takes a copy could search it."""
    found = {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        for (table,) in cursor.fetchall():
            cursor.execute(
                f"SELECT coalesce(string_agg(row::text, E'\\n'), '') FROM {connection.ops.quote_name(table)} row"
            )
            found[table] = cursor.fetchone()[0].casefold()
    return found


def test_the_sample_is_whole_and_all_of_it_verifies() -> None:
    assert Compartment.objects.get().code == "SY-2025"
    assert Incident.objects.count() == len(INCIDENTS) + 1
    assert Item.objects.count() == len(PIECES) >= 35
    assert {kind for kind, in Item.objects.values_list("kind")} >= {
        Kind.PHOTO, Kind.VIDEO, Kind.AUDIO, Kind.DOCUMENT, Kind.TEXT, Kind.WEB_CAPTURE
    }  # fmt: skip
    assert Item.objects.exclude(duplicate_of=None).count() == 1
    assert Item.objects.filter(graphic=True).count() == 1
    assert Item.objects.filter(title="").count() >= 4
    assert set(Incident.objects.values_list("status", flat=True)) == set(Status.values)
    assert set(Link.objects.values_list("stance", flat=True)) == set(Stance.values)
    assert Witness.objects.count() == Testimony.objects.count() == Identity.objects.count() == len(VOICES)

    assert not Pending.objects.exists()
    assert list(verify.faults()) == []
    run = Run.objects.get()
    assert run.is_clean
    assert run.done == FixityCheck.objects.filter(outcome=FixityOutcome.OK).count() >= 25
    never = Item.objects.filter(last_verified_at=None)
    assert never.count() >= 5
    auditor = User.objects.get(username="auditor")
    check = verify_item(by=auditor, at=timezone.now(), accession=never[0].accession)
    assert check.outcome == FixityOutcome.OK


def test_it_is_made_only_once(made: Path) -> None:
    entries, accounts = Entry.objects.count(), made.read_bytes()

    with pytest.raises(CommandError, match="already has people"):
        call_command("sample", credentials=str(made), stdout=io.StringIO())

    assert (Entry.objects.count(), made.read_bytes()) == (entries, accounts)
    assert Run.objects.count() == 1


def test_every_account_signs_in_and_holds_its_role_and_nothing_more(made: Path) -> None:
    accounts = json.loads(made.read_text())["accounts"]

    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert [entry.name for entry in made.parent.iterdir() if entry.is_file()] == [made.name]
    assert {account["role"] for account in accounts} == {str(role.label) for role in Role}
    assert len({account["password"] for account in accounts}) == len(accounts)
    for account in accounts:
        assert len(account["password"]) >= 16
        user = User.objects.get(username=account["username"])
        assert user.check_password(account["password"])
        (grant,) = Grant.objects.filter(user=user)
        assert str(Role(grant.role).label) == account["role"]
        assert grant.granted_by_id != user.pk
    assert "sample" in " ".join(User.objects.values_list("display_name", flat=True))
    assert not User.objects.get(username="newcomer").has_usable_password()


def test_the_published_figures_are_quoted_exactly_and_side_by_side() -> None:
    incident = Incident.objects.get(code="I-0001")
    told = [
        (claim.source, claim.minimum, claim.maximum, [(part.category, part.count) for part in claim.breakdown.all()])
        for claim in Claim.objects.filter(incident=incident).order_by("as_of")
    ]

    assert Claim.objects.count() == len(CLAIMS) == 3
    sohr, committee, inquiry = told
    assert "SOHR" in sohr[0]
    assert sohr[1:] == (1383, 1383, [("Latakia", 683), ("Tartus", 433), ("Hama", 255), ("Homs", 12)])
    assert "National Committee" in committee[0]
    assert committee[1:3] == (1426, 1426)
    assert committee[3] == [("Dead with verified names", 1426), ("Security personnel, counted beside them", 238)]
    assert "Commission of Inquiry" in inquiry[0]
    assert inquiry[1:] == (1400, 1400, [])
    assert "about 1,400" in Claim.objects.get(minimum=1400).who_counts
    for claim in Claim.objects.all():
        assert "real published figure" in claim.note
        assert claim.scope_area
        assert claim.as_of
        assert claim.document_title


def test_every_other_incident_says_that_it_is_fiction() -> None:
    invented = Incident.objects.filter(claims=None)

    assert invented.count() == len(INCIDENTS) >= 12
    for incident in invented:
        assert incident.narrative.startswith(FICTION.strip())
        assert incident.title_ar
        assert incident.place_name_ar
        assert incident.precision
        assert incident.gazetteer_code
    assert len({incident.precision for incident in invented}) >= 4


def test_no_identity_of_a_witness_stands_outside_the_vault() -> None:
    columns = plain_texts()
    for voice in VOICES:
        for word in [*voice.identity.names, voice.identity.contacts]:
            for form in (word.casefold(), word.encode().hex()):
                assert not [table for table, text in columns.items() if form and form in text], word
        sentence = voice.text.splitlines()[0].casefold()
        assert not [table for table, text in columns.items() if sentence in text]
    assert "w-0001" in columns["witnesses_witness"]


def test_consents_stand_as_three_different_ways() -> None:
    now = timezone.now()
    states = {
        consent.witness.pseudonym: state_of(consent, now) for consent in Consent.objects.select_related("witness")
    }

    assert states == {
        "W-0001": ConsentState.IN_FORCE,
        "W-0002": ConsentState.EXPIRING,
        "W-0003": ConsentState.WITHDRAWN,
    }
    prosecutor, mechanism = CaseFile.objects.order_by("code")
    assert refused(prosecutor, now) == []
    (held_up,) = refused(mechanism, now)
    assert "W-0003" in " ".join(held_up[1].reasons)
    assert prosecutor.exhibits.filter(category="exculpatory").count() == 1
    codes = [set(exhibit.reviews.values_list("assessment", flat=True)) for exhibit in Exhibit.objects.all()]
    assert [found for found in codes if len(found) > 1], "two reviewers disagree on one exhibit"


def test_the_media_are_what_they_say_and_what_is_hostile_stays_text() -> None:
    wanted = {
        "house-dusk": "image/jpeg", "interview-1": "audio/wav", "walk": "video/webm", "inspection": "application/pdf",
        "sketch-map": "image/png", "drawing": "image/svg+xml", "page": "text/html", "notes": "text/plain",
    }  # fmt: skip
    by_key = dict(zip((piece.key for piece in PIECES), Item.objects.order_by("accession"), strict=True))
    for key in (*wanted, "two-faced", "village"):
        tasks.examine(str(by_key[key].pk))
        by_key[key].refresh_from_db()

    for key, media_type in wanted.items():
        found = by_key[key].media_type.replace("x-wav", "wav")
        assert found == media_type, key
        assert not by_key[key].type_conflict, key
    assert by_key["two-faced"].type_conflict
    assert by_key["house-dusk"].claims["gps_latitude"].startswith("35.11")
    assert by_key["village"].claims["created"].startswith("2019-08-14")
    assert by_key["village"].created_latest is not None
    assert by_key["village"].created_latest.year == 2025
    assert is_text(by_key["drawing"].media_type)
    assert b"<script>" in b"".join(blobs.read_blob(by_key["page"].blob))
    sequencer.drain()
    signer.sign_head()
    auditor = User.objects.get(username="auditor")
    assert verify_item(by=auditor, at=timezone.now(), accession=by_key["walk"].accession).outcome == FixityOutcome.OK


def test_custody_tells_every_act() -> None:
    told = set(Event.objects.values_list("type", flat=True))

    assert told >= {
        Type.RECEIVE, Type.DESCRIBE, Type.TAG, Type.GRANT, Type.INVITE, Type.CONSENT, Type.WITHDRAW_CONSENT,
        Type.INTERVIEW, Type.SEAL, Type.CORRECT, Type.RECORD_IDENTITY, Type.EXHIBIT, Type.REVIEW, Type.VERIFY,
    }  # fmt: skip
    assert Event.objects.filter(type=Type.RECEIVE).count() == len(PIECES)
    assert Event.objects.filter(type=Type.OPEN_IDENTITY).count() == 0


def test_the_auditor_of_the_sample_sees_no_content() -> None:
    from evidence.actions import open_content

    item = Item.objects.order_by("accession")[0]

    with pytest.raises(Refused):
        open_content(by=User.objects.get(username="auditor"), at=timezone.now(), accession=item.accession)
