"""Incidents, links, claims and intakes as the API shows and takes them."""

from typing import Any

from rest_framework import serializers

from evidence.models import Item
from incidents.description import CLAIMED, DESCRIBED
from incidents.models import Claim, ClaimBreakdown, Incident, Link, ViolationCategory
from incidents.uploads import ANNOUNCED
from incidents.vocabulary import Credibility, Reliability, Stance, Status, UploadState


class ViolationCategorySerializer(serializers.ModelSerializer[ViolationCategory]):
    class Meta:
        model = ViolationCategory
        fields = ("code", "name_en", "name_ar", "name_fr", "order")
        read_only_fields = fields


class IncidentSerializer(serializers.ModelSerializer[Incident]):
    """An incident as it is read. Coordinates are the centre of a circle of `precision_metres`."""

    compartment = serializers.CharField(source="compartment.code", read_only=True)
    categories = serializers.SlugRelatedField[ViolationCategory](slug_field="code", many=True, read_only=True)
    opened_by = serializers.CharField(source="opened_by.display_name", read_only=True)
    precision_metres = serializers.SerializerMethodField()

    class Meta:
        model = Incident
        fields: tuple[str, ...] = (
            "id",
            "compartment",
            "code",
            "status",
            *DESCRIBED,
            "precision_metres",
            "happened_earliest",
            "happened_latest",
            "categories",
            "opened_by",
            "opened_at",
        )
        read_only_fields: tuple[str, ...] = fields

    def get_precision_metres(self, incident: Incident) -> int | None:
        from evidence.vocabulary import Precision

        return Precision(incident.precision).metres if incident.precision else None


class IncidentRowSerializer(IncidentSerializer):
    """An incident in a list: without its narrative, which is read one by one."""

    class Meta(IncidentSerializer.Meta):
        fields = tuple(name for name in IncidentSerializer.Meta.fields if name != "narrative")
        read_only_fields = fields


class IncidentWriteSerializer(serializers.ModelSerializer[Incident]):
    """What may be said of an incident. Dates are EDTF; what is left out stays as it is."""

    categories = serializers.ListField(child=serializers.SlugField(max_length=60), required=False, max_length=50)
    reason = serializers.CharField(required=False, allow_blank=True, max_length=500)

    class Meta:
        model = Incident
        fields: tuple[str, ...] = (*DESCRIBED, "categories", "reason")
        validators: list[Any] = []  # the action says whether a code is taken: an empty one gets the next number


class NewIncidentSerializer(IncidentWriteSerializer):
    compartment = serializers.CharField(max_length=20, help_text="The code of a compartment, such as SY-2025.")
    code = serializers.CharField(max_length=20, required=False, allow_blank=True)
    status = serializers.ChoiceField(choices=[Status.DRAFT, Status.OPEN], required=False)

    class Meta(IncidentWriteSerializer.Meta):
        fields = (*IncidentWriteSerializer.Meta.fields, "compartment", "code", "status")


class StatusSerializer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=Status.choices)
    reason = serializers.CharField(max_length=500)


class WithdrawnSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=500)


class AssessmentSerializer(serializers.Serializer[Any]):
    """What an analyst says of a link between an item and an incident."""

    stance = serializers.ChoiceField(choices=Stance.choices)
    reasons = serializers.CharField(max_length=2_000)
    source_reliability = serializers.ChoiceField(choices=Reliability.choices, required=False, allow_blank=True)
    information_credibility = serializers.ChoiceField(
        choices=Credibility.choices, required=False, allow_null=True, allow_blank=True
    )


class LinkWriteSerializer(AssessmentSerializer):
    item = serializers.CharField(max_length=30, help_text="The accession number of an item of the same compartment.")


class LinkChangeSerializer(AssessmentSerializer):
    reason = serializers.CharField(required=False, allow_blank=True, max_length=500)


class LinkSerializer(serializers.ModelSerializer[Link]):
    item = serializers.CharField(source="item.accession", read_only=True)
    linked_by = serializers.CharField(source="linked_by.display_name", read_only=True)

    class Meta:
        model = Link
        fields = (
            "id",
            "item",
            "incident",
            "stance",
            "reasons",
            "source_reliability",
            "information_credibility",
            "linked_by",
            "linked_at",
            "withdrawn_at",
            "withdrawn_reason",
        )
        read_only_fields = fields


class BreakdownSerializer(serializers.ModelSerializer[ClaimBreakdown]):
    class Meta:
        model = ClaimBreakdown
        fields = ("dimension", "category", "count")


class ClaimSerializer(serializers.ModelSerializer[Claim]):
    """What one source claims, in its own scope. Claims of different sources are never added."""

    incident = serializers.UUIDField(source="incident_id", read_only=True)
    breakdown = BreakdownSerializer(many=True, required=False)
    recorded_by = serializers.CharField(source="recorded_by.display_name", read_only=True)

    class Meta:
        model = Claim
        fields = (
            "id",
            "incident",
            *CLAIMED,
            "period_earliest",
            "period_latest",
            "exact",
            "breakdown",
            "recorded_by",
            "recorded_at",
            "withdrawn_at",
            "withdrawn_reason",
        )
        read_only_fields = ("period_earliest", "period_latest", "recorded_at", "withdrawn_at", "withdrawn_reason")


class IntakeSerializer(serializers.ModelSerializer[Item]):
    """What is said of all files that will be uploaded, before the first of them is sent."""

    stance = serializers.ChoiceField(choices=Stance.choices)
    reasons = serializers.CharField(max_length=2_000)
    source_reliability = serializers.ChoiceField(choices=Reliability.choices, required=False, allow_blank=True)
    information_credibility = serializers.ChoiceField(
        choices=Credibility.choices, required=False, allow_null=True, allow_blank=True
    )

    class Meta:
        model = Item
        fields = (*ANNOUNCED, "stance", "reasons", "source_reliability", "information_credibility")
        extra_kwargs = {"kind": {"allow_blank": True}}


class IntakeAnswerSerializer(serializers.Serializer[Any]):
    intake = serializers.UUIDField()


class DigestsSerializer(serializers.Serializer[Any]):
    sha256 = serializers.ListField(child=serializers.RegexField(r"^[0-9a-f]{64}\Z"), max_length=1_000)


class KnownItemSerializer(serializers.Serializer[Any]):
    accession = serializers.CharField()
    url = serializers.CharField()


class UploadedSerializer(serializers.Serializer[Item]):
    """The answer to an upload: what the archive now holds."""

    accession = serializers.CharField()
    url = serializers.CharField()
    sha256 = serializers.CharField()
    sha512 = serializers.CharField()
    size = serializers.IntegerField(help_text="bytes")
    duplicate_of = serializers.CharField(allow_null=True)
    media_type = serializers.CharField(allow_blank=True, help_text="empty until the bytes were examined")
    receipt_url = serializers.CharField()


class ProblemSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    detail = serializers.CharField()


class ResumableUploadSerializer(serializers.Serializer[Any]):
    """What became of a resumable upload."""

    state = serializers.ChoiceField(choices=UploadState.choices)
    offset = serializers.IntegerField(help_text="bytes that are durable")
    length = serializers.IntegerField(help_text="bytes of the whole file")
    expires_at = serializers.DateTimeField()
    item = UploadedSerializer(allow_null=True)
    problem = ProblemSerializer(allow_null=True)
