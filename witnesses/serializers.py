"""Witnesses, testimonies and consents as the API shows and takes them. An identity only ever answers its opening."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import User
from witnesses.consent import state_of
from witnesses.identity import LONGEST
from witnesses.models import Consent, Recording, Testimony, TestimonyRevision, Witness
from witnesses.particulars import CONSENT, TESTIMONY, WITNESS
from witnesses.vocabulary import ConsentState, Medium, Purpose, RecipientKind, Vulnerability

ACCESSION = 30


class WitnessSerializer(serializers.ModelSerializer[Witness]):
    """A witness by pseudonym. Particulars are null for those who know a witness by pseudonym only."""

    compartment = serializers.CharField(source="compartment.code", read_only=True)
    consent = serializers.SerializerMethodField()
    kind = serializers.SerializerMethodField()
    age_band = serializers.SerializerMethodField()
    vulnerabilities = serializers.SerializerMethodField()

    class Meta:
        model = Witness
        fields = ("id", "compartment", "pseudonym", *WITNESS, "opened_at", "consent")
        read_only_fields = fields

    def _known(self, witness: Witness) -> bool:
        known: set[Any] = self.context["known"]
        return witness.pk in known

    @extend_schema_field(serializers.ChoiceField(choices=ConsentState.choices))
    def get_consent(self, witness: Witness) -> str:
        state, _newest = self.context["states"][witness.pk]
        return str(state.value)

    def get_kind(self, witness: Witness) -> str | None:
        return witness.kind if self._known(witness) else None

    def get_age_band(self, witness: Witness) -> str | None:
        return witness.age_band if self._known(witness) else None

    def get_vulnerabilities(self, witness: Witness) -> list[str] | None:
        return witness.vulnerabilities if self._known(witness) else None


class WitnessWriteSerializer(serializers.ModelSerializer[Witness]):
    vulnerabilities = serializers.ListField(
        child=serializers.ChoiceField(Vulnerability.choices), required=False, max_length=len(Vulnerability)
    )

    class Meta:
        model = Witness
        fields: tuple[str, ...] = WITNESS


class IdentitySerializer(serializers.Serializer[Any]):
    """Who a witness is. `aliases` is one a line; `birth_date` is EDTF."""

    name = serializers.CharField(required=False, allow_blank=True, max_length=LONGEST["name"])
    name_ar = serializers.CharField(required=False, allow_blank=True, max_length=LONGEST["name_ar"])
    aliases = serializers.CharField(required=False, allow_blank=True, max_length=LONGEST["aliases"])
    birth_date = serializers.CharField(required=False, allow_blank=True, max_length=LONGEST["birth_date"])
    contacts = serializers.CharField(required=False, allow_blank=True, max_length=LONGEST["contacts"])
    relations = serializers.CharField(required=False, allow_blank=True, max_length=LONGEST["relations"])
    notes = serializers.CharField(required=False, allow_blank=True, max_length=LONGEST["notes"])


class NewWitnessSerializer(WitnessWriteSerializer):
    compartment = serializers.CharField(max_length=20, help_text="code of a compartment, such as SY-2025")
    identity = IdentitySerializer(required=False)

    class Meta(WitnessWriteSerializer.Meta):
        fields = ("compartment", *WITNESS, "identity")


class RevisedIdentitySerializer(IdentitySerializer):
    reason = serializers.CharField(max_length=500)


class ReasonSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=500)


class AskedSerializer(serializers.Serializer[Any]):
    compartment = serializers.CharField(max_length=20)
    names = serializers.ListField(child=serializers.CharField(max_length=200), min_length=1, max_length=20)
    birth_year = serializers.IntegerField(required=False, min_value=1880, max_value=2100)


class MatchSerializer(serializers.Serializer[Any]):
    """A witness who may be the person; `how` is empty for those who are told no more than that."""

    id = serializers.UUIDField(source="witness.id")
    pseudonym = serializers.CharField(source="witness.pseudonym")
    compartment = serializers.CharField(source="witness.compartment.code")
    how = serializers.ChoiceField(choices=["", "born", "name", "similar"])


class RecordingSerializer(serializers.ModelSerializer[Recording]):
    item = serializers.CharField(source="item.accession", read_only=True)

    class Meta:
        model = Recording
        fields = ("id", "item", "linked_at", "withdrawn_at")
        read_only_fields = fields


class AccessionSerializer(serializers.Serializer[Any]):
    accession = serializers.CharField(max_length=ACCESSION)


class RevisionSerializer(serializers.ModelSerializer[TestimonyRevision]):
    text = serializers.CharField(read_only=True)
    by = serializers.CharField(source="by.display_name", read_only=True)

    class Meta:
        model = TestimonyRevision
        fields = ("number", "text", "correction", "reason", "at", "by")
        read_only_fields = fields


class TestimonySerializer(serializers.ModelSerializer[Testimony]):
    """A testimony without its text, which is read at an address of its own."""

    compartment = serializers.CharField(source="compartment.code", read_only=True)
    pseudonym = serializers.CharField(source="witness.pseudonym", read_only=True)

    class Meta:
        model = Testimony
        fields: tuple[str, ...] = (
            "id",
            "compartment",
            "number",
            "witness",
            "pseudonym",
            "status",
            *TESTIMONY,
            "interview_earliest",
            "interview_latest",
            "recorded_at",
            "sealed_at",
        )
        read_only_fields: tuple[str, ...] = fields


class TestimonyRowSerializer(TestimonySerializer):
    """A testimony in a list: whose, which and when; its particulars are read one by one."""

    class Meta(TestimonySerializer.Meta):
        fields = (
            "id",
            "compartment",
            "number",
            "witness",
            "pseudonym",
            "status",
            "interview_edtf",
            "language",
            "interviewer",
            "interview_earliest",
            "interview_latest",
            "recorded_at",
            "sealed_at",
        )
        read_only_fields = fields


class TestimonyWriteSerializer(serializers.ModelSerializer[Testimony]):
    interviewer = serializers.PrimaryKeyRelatedField(queryset=User.objects.all(), required=False)

    class Meta:
        model = Testimony
        fields: tuple[str, ...] = TESTIMONY


class NewTestimonySerializer(TestimonyWriteSerializer):
    witness = serializers.UUIDField()
    text = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False, default="")
    recordings = serializers.ListField(
        child=serializers.CharField(max_length=ACCESSION), required=False, max_length=50, default=list
    )

    class Meta(TestimonyWriteSerializer.Meta):
        fields = ("witness", *TESTIMONY, "text", "recordings")


class NewTextSerializer(serializers.Serializer[Any]):
    text = serializers.CharField(allow_blank=True, trim_whitespace=False)
    reason = serializers.CharField(required=False, allow_blank=True, max_length=500, default="")


class ConsentSerializer(serializers.ModelSerializer[Consent]):
    """What was agreed. `expires_at` is the first moment at which it no longer counts."""

    form_item = serializers.CharField(source="form_item.accession", read_only=True, allow_null=True, default=None)
    state = serializers.SerializerMethodField()

    class Meta:
        model = Consent
        fields: tuple[str, ...] = (
            "id",
            "witness",
            *CONSENT,
            "form_item",
            "given_earliest",
            "given_latest",
            "recorded_at",
            "withdrawn_at",
            "withdrawal_reason",
            "state",
        )
        read_only_fields: tuple[str, ...] = fields

    @extend_schema_field(serializers.ChoiceField(choices=ConsentState.choices))
    def get_state(self, consent: Consent) -> str:
        newest: dict[Any, Consent] = self.context["newest"]
        state = state_of(consent, timezone.now())
        if state != ConsentState.WITHDRAWN and newest.get(consent.witness_id) != consent:
            return str(ConsentState.REPLACED.value)
        return str(state.value)


class ConsentRowSerializer(ConsentSerializer):
    """A consent in a list: whose, when and whether it counts; what was agreed is read one by one."""

    class Meta(ConsentSerializer.Meta):
        fields = (
            "id",
            "witness",
            "form_item",
            "given_edtf",
            "expires_at",
            "given_earliest",
            "given_latest",
            "recorded_at",
            "withdrawn_at",
            "state",
        )
        read_only_fields = fields


class NewConsentSerializer(serializers.ModelSerializer[Consent]):
    witness = serializers.UUIDField()
    purposes = serializers.ListField(child=serializers.ChoiceField(Purpose.choices), required=False)
    recipients = serializers.ListField(child=serializers.ChoiceField(RecipientKind.choices), required=False)
    named_recipients = serializers.ListField(child=serializers.CharField(max_length=120), required=False, max_length=50)
    recording_media = serializers.ListField(child=serializers.ChoiceField(Medium.choices), required=False)
    form_accession = serializers.CharField(required=False, allow_blank=True, max_length=ACCESSION, default="")

    class Meta:
        model = Consent
        fields = ("witness", *CONSENT, "form_accession")
