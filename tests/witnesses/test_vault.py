"""The identity vault: who opens it, what stands in the ledger before, and what the blind index finds."""

import json

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from accounts.models import Compartment, Role, User
from accounts.permissions import NotNow, NotVisible, Refused
from custody import engine
from custody.models import Event
from custody.story import story
from custody.vocabulary import Outcome, Type
from tests import factories
from tests.witnesses.things import KUNYA, NAME, NAME_AR, planted
from witnesses import actions
from witnesses.identity import RealIdentity, checked
from witnesses.models import Identity, IdentityRevision, NameToken, Witness

pytestmark = pytest.mark.django_db

REASON = "Needed for the protection plan."


@pytest.fixture
def compartment() -> Compartment:
    return factories.make_compartment()


@pytest.fixture
def officer(compartment: Compartment) -> User:
    return factories.make_user(Role.PROTECTION_OFFICER, compartment)


@pytest.fixture
def witness(compartment: Compartment) -> Witness:
    by = factories.make_user(Role.INVESTIGATOR, compartment)
    return factories.make_witness(compartment, by=by, identity=planted())


def openings(witness: Witness) -> list[Event]:
    lines = [line for line in story("witness", witness.pk) if line.type == Type.OPEN_IDENTITY]
    return list(Event.objects.filter(pk__in=[line.event_id for line in lines]))


def ask(by: User, compartment: Compartment, *names: str, birth_year: int | None = None) -> list[tuple[str, str]]:
    found = actions.find_spoken_before(
        by=by, at=timezone.now(), compartment_id=compartment.pk, asked=list(names), birth_year=birth_year
    )
    return [(match.witness.pseudonym, match.how) for match in found]


def test_a_protection_officer_opens_an_identity_with_a_reason(officer: User, witness: Witness) -> None:
    opened = actions.open_identity(by=officer, at=timezone.now(), witness_id=witness.pk, reason=REASON)
    assert opened == planted()
    (event,) = openings(witness)
    assert (event.agent_id, event.outcome) == (officer.pk, Outcome.SUCCESS)
    line = next(line for line in story("witness", witness.pk) if line.event_id == event.pk)
    assert line.fields["purpose"] == REASON
    assert line.fields["object"] == {"pseudonym": "W-0001", "revision": 1}


@pytest.mark.parametrize("role", [role for role in Role if role != Role.PROTECTION_OFFICER])
def test_nobody_else_opens_it(role: Role, witness: Witness) -> None:
    user = factories.make_user(role, witness.compartment)
    with pytest.raises(Refused if role == Role.INVESTIGATOR else NotVisible):
        actions.open_identity(by=user, at=timezone.now(), witness_id=witness.pk, reason=REASON)
    assert openings(witness) == []


def test_an_officer_of_another_compartment_does_not_know_the_witness_exists(witness: Witness) -> None:
    stranger = factories.make_user(Role.PROTECTION_OFFICER, factories.make_compartment())
    with pytest.raises(NotVisible):
        actions.open_identity(by=stranger, at=timezone.now(), witness_id=witness.pk, reason=REASON)


@pytest.mark.parametrize("reason", ["", "   ", "too short", f"To telephone {NAME} today"])
def test_opening_without_a_good_reason_is_refused_naming_the_field(
    reason: str, officer: User, witness: Witness
) -> None:
    with pytest.raises(ValidationError) as refusal:
        actions.open_identity(by=officer, at=timezone.now(), witness_id=witness.pk, reason=reason)
    assert list(refusal.value.message_dict) == ["reason"]
    assert NAME not in str(refusal.value)
    assert openings(witness) == []


def test_no_name_comes_out_when_the_ledger_refuses(
    officer: User, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> bytes:
        raise ValueError("the entry does not fit")

    asked: list[object] = []
    monkeypatch.setattr(engine, "encode_entry", refuse)
    monkeypatch.setattr("witnesses.vault.unsealed", asked.append)
    with pytest.raises(engine.LedgerRefused):
        actions.open_identity(by=officer, at=timezone.now(), witness_id=witness.pk, reason=REASON)
    assert asked == []


@pytest.mark.django_db(transaction=True)
def test_the_event_is_committed_before_anything_is_unsealed(monkeypatch: pytest.MonkeyPatch) -> None:
    witness = factories.make_witness(identity=planted())
    officer = factories.make_user(Role.PROTECTION_OFFICER, witness.compartment)
    seen: list[tuple[bool, int]] = []

    def unsealed(revision: IdentityRevision) -> RealIdentity:
        seen.append((connection.in_atomic_block, len(openings(witness))))
        return planted()

    monkeypatch.setattr("witnesses.vault.unsealed", unsealed)
    actions.open_identity(by=officer, at=timezone.now(), witness_id=witness.pk, reason=REASON)
    assert seen == [(False, 1)]


def test_an_identity_is_not_opened_inside_another_act(officer: User, witness: Witness) -> None:
    with pytest.raises(RuntimeError), engine.acting():
        actions.open_identity(by=officer, at=timezone.now(), witness_id=witness.pk, reason=REASON)


def test_an_investigator_records_an_identity_once_and_never_reads_it(compartment: Compartment) -> None:
    investigator = factories.make_user(Role.INVESTIGATOR, compartment)
    witness = factories.make_witness(compartment)
    actions.record_identity(by=investigator, at=timezone.now(), witness_id=witness.pk, identity=planted())
    with pytest.raises(NotNow):
        actions.record_identity(by=investigator, at=timezone.now(), witness_id=witness.pk, identity=planted())
    with pytest.raises(Refused):
        actions.revise_identity(
            by=investigator, at=timezone.now(), witness_id=witness.pk, identity=planted(), reason=REASON
        )
    with pytest.raises(Refused):
        actions.open_identity(by=investigator, at=timezone.now(), witness_id=witness.pk, reason=REASON)


@pytest.mark.parametrize("role", [Role.LEGAL_REVIEWER, Role.ARCHIVIST, Role.AUDITOR, Role.ADMINISTRATOR])
def test_others_record_no_identity(role: Role, compartment: Compartment) -> None:
    witness = factories.make_witness(compartment)
    user = factories.make_user(role, compartment)
    with pytest.raises(NotVisible):
        actions.record_identity(by=user, at=timezone.now(), witness_id=witness.pk, identity=planted())


def test_a_correction_is_a_new_sealed_revision_and_the_earlier_one_stays(officer: User, witness: Witness) -> None:
    corrected = RealIdentity(name="Somebody Elsewhere")
    actions.revise_identity(
        by=officer, at=timezone.now(), witness_id=witness.pk, identity=corrected, reason="The passport was seen."
    )
    assert actions.open_identity(by=officer, at=timezone.now(), witness_id=witness.pk, reason=REASON) == corrected
    assert list(witness.identity.revisions.values_list("number", flat=True)) == [1, 2]
    assert ask(officer, witness.compartment, "Somebody Elsewhere") == [("W-0001", "name")]
    assert ask(officer, witness.compartment, NAME) == []


def test_revisions_cannot_be_rewritten_in_the_database(witness: Witness) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        IdentityRevision.objects.filter(identity__witness=witness).update(sealed=b"other")


def test_each_identity_has_a_key_of_its_own_and_a_sealed_record_opens_nowhere_else(
    officer: User, witness: Witness
) -> None:
    other = factories.make_witness(witness.compartment, identity=RealIdentity(name="Another Person"))
    taken = bytes(IdentityRevision.objects.get(identity__witness=other).sealed)
    IdentityRevision.objects.create(identity=witness.identity, number=2, sealed=taken, at=timezone.now(), by=officer)
    with pytest.raises(NotNow, match="changed outside the archive"):
        actions.open_identity(by=officer, at=timezone.now(), witness_id=witness.pk, reason=REASON)
    assert sorted(event.outcome for event in openings(witness)) == [Outcome.FAILURE, Outcome.SUCCESS]


def test_without_an_identity_there_is_nothing_to_open(officer: User, compartment: Compartment) -> None:
    witness = factories.make_witness(compartment)
    with pytest.raises(NotNow):
        actions.open_identity(by=officer, at=timezone.now(), witness_id=witness.pk, reason=REASON)
    assert openings(witness) == []


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "name"),
        ({"name": "  ", "contacts": "somewhere"}, "name"),
        ({"name": NAME, "birth_date": f"{NAME} was born"}, "birth_date"),
        ({"name": NAME * 20}, "name"),
        ({"name": NAME, "notes": "a\0b"}, "notes"),
        ({"name": NAME, "religion": "any"}, "religion"),
    ],
)
def test_a_wrong_identity_is_refused_by_field_without_repeating_it(values: dict[str, str], field: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        checked(values)
    assert list(refusal.value.message_dict) == [field]
    assert NAME not in json.dumps(refusal.value.message_dict)


def test_an_identity_says_nothing_when_it_is_printed() -> None:
    assert NAME not in repr(planted())
    assert NAME not in f"{planted()}"


@pytest.mark.parametrize(
    ("recorded", "asked", "how"),
    [
        ("أحمد إبراهيم", "احمد ابراهيم", "name"),
        ("فاطمة الزهراء", "فاطمه الزهراء", "name"),
        ("مُحَمَّد عَلِيّ", "محمد علي", "name"),
        ("هدى مصطفى", "هدي مصطفي", "name"),
        ("عبد الرحمن صالح", "عبدالرحمن الصالح", "name"),
        ("رؤى شـــاهين", "روي شاهين", "name"),
        ("أبو محمد الساحلي", "ابي محمد ساحلي", "name"),
        ("Abd al-Rahman Saleh", "Abdulrahman Al Saleh", "name"),
        ("Élodie d'Arcy", "elodie darcy", "name"),
        ("ＮＡＭＥ Wide", "name wide", "name"),
        ("Mohammad Khoury", "Muhammed Khouri", "similar"),
        ("Ahmad Hassan Saleh", "Ahmad Saleh", "similar"),
    ],
)
def test_the_blind_index_finds_a_name_however_it_is_spelled(
    recorded: str, asked: str, how: str, officer: User, compartment: Compartment
) -> None:
    factories.make_witness(compartment, identity=RealIdentity(name=recorded))
    assert ask(officer, compartment, asked) == [("W-0001", how)]
    assert ask(officer, compartment, "Nobody Known") == []


def test_it_finds_every_name_of_a_person_and_knows_the_year_of_birth(officer: User, witness: Witness) -> None:
    place = witness.compartment
    assert ask(officer, place, NAME_AR) == [("W-0001", "name")]
    assert ask(officer, place, KUNYA.upper()) == [("W-0001", "name")]
    assert ask(officer, place, NAME, birth_year=1981) == [("W-0001", "born")]
    assert ask(officer, place, NAME, birth_year=1950) == [("W-0001", "name")]


def test_investigators_learn_who_but_not_how(witness: Witness) -> None:
    investigator = factories.make_user(Role.INVESTIGATOR, witness.compartment)
    assert ask(investigator, witness.compartment, NAME) == [("W-0001", "")]


def test_asking_tells_nothing_of_compartments_one_does_not_see(witness: Witness) -> None:
    elsewhere = factories.make_compartment()
    other = factories.make_user(Role.PROTECTION_OFFICER, elsewhere)
    assert ask(other, elsewhere, NAME) == []
    with pytest.raises(NotVisible):
        ask(other, witness.compartment, NAME)
    factories.give(other, Role.INVESTIGATOR, witness.compartment)
    assert ask(other, elsewhere, NAME) == [("W-0001", "")]


@pytest.mark.parametrize("role", [Role.LEGAL_REVIEWER, Role.ARCHIVIST, Role.AUDITOR, Role.ADMINISTRATOR])
def test_others_may_not_ask(role: Role, witness: Witness) -> None:
    with pytest.raises(Refused):
        ask(factories.make_user(role, witness.compartment), witness.compartment, NAME)


def test_asking_is_in_the_ledger_without_the_name(officer: User, witness: Witness) -> None:
    ask(officer, witness.compartment, NAME)
    line = story("witness", witness.pk)[-1]
    assert line.type == Type.ASK_SPOKEN
    assert line.fields["to"] == {"matches": 1}
    assert NAME not in json.dumps(line.fields)


def test_asking_for_nobody_is_refused(officer: User, compartment: Compartment) -> None:
    with pytest.raises(ValidationError) as refusal:
        ask(officer, compartment, " - ")
    assert list(refusal.value.message_dict) == ["name"]


def test_the_index_says_nothing_without_its_key(witness: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    from witnesses import names

    held = {bytes(token) for token in NameToken.objects.values_list("token", flat=True)}
    assert names.tokens(planted().names, planted().birth_year) == held
    monkeypatch.setattr(names, "_key", lambda: b"another key of thirty-two bytes..")
    assert not names.tokens(planted().names, planted().birth_year) & held


def test_the_record_is_not_under_the_witness_s_own_key(witness: Witness) -> None:
    held = Identity.objects.get(witness=witness)
    assert held.pk != witness.pk
    from custody import seal

    with pytest.raises(seal.SealBroken):
        seal.unseal(witness.pk, "identity/1", bytes(held.revisions.get().sealed))
