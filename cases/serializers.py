"""Case files, exhibits, reviews and bundles as the API shows and takes them."""

from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

from cases.actions import CASE_FIELDS, EXHIBIT_FIELDS
from cases.disclosure import Field, Preset
from cases.models import Bundle, CaseFile, Exhibit, Review
from cases.vocabulary import Assessment, Status


class CaseSerializer(serializers.ModelSerializer[CaseFile]):
    class Meta:
        model = CaseFile
        fields = ("id", "code", "compartment", *CASE_FIELDS, "status", "opened_by", "opened_at")
        read_only_fields = fields


class CaseRowSerializer(serializers.ModelSerializer[CaseFile]):
    """A case file in a list, as the page of case files shows it; the rest is read one by one."""

    class Meta:
        model = CaseFile
        fields = ("id", "code", "compartment", "title", "forum", "status", "opened_by", "opened_at")
        read_only_fields = fields


class NewCaseSerializer(serializers.ModelSerializer[CaseFile]):
    compartment = serializers.UUIDField()

    class Meta:
        model = CaseFile
        fields = ("compartment", *CASE_FIELDS)


class CaseChangeSerializer(serializers.ModelSerializer[CaseFile]):
    class Meta:
        model = CaseFile
        fields = CASE_FIELDS


class CaseStatusSerializer(serializers.Serializer[CaseFile]):
    status = serializers.ChoiceField(Status.choices)
    reason = serializers.CharField(max_length=500)


class ExhibitReviewSerializer(serializers.ModelSerializer[Review]):
    class Meta:
        model = Review
        fields = ("id", "reviewer", "assessment", "note", "at")
        read_only_fields = fields


class NewExhibitReviewSerializer(serializers.Serializer[Review]):
    assessment = serializers.ChoiceField(Assessment.choices)
    note = serializers.CharField(max_length=4_000)


class ExhibitRowSerializer(serializers.ModelSerializer[Exhibit]):
    """An exhibit in a list: without relevance, notes, reviews and reasons, which are read one by one."""

    item = serializers.SlugRelatedField(slug_field="accession", read_only=True)  # type: ignore[var-annotated]
    case = serializers.UUIDField(source="case_file_id", read_only=True)

    class Meta:
        model = Exhibit
        fields: tuple[str, ...] = ("id", "case", "number", "item", "category", "added_by", "added_at", "withdrawn_at")
        read_only_fields: tuple[str, ...] = fields


class ExhibitSerializer(ExhibitRowSerializer):
    reviews = ExhibitReviewSerializer(many=True, read_only=True)

    class Meta(ExhibitRowSerializer.Meta):
        fields = (
            "id",
            "case",
            "number",
            "item",
            *EXHIBIT_FIELDS,
            "added_by",
            "added_at",
            "withdrawn_at",
            "withdrawn_reason",
            "reviews",
        )
        read_only_fields = fields


class NewExhibitSerializer(serializers.ModelSerializer[Exhibit]):
    case = serializers.UUIDField()
    item = serializers.CharField(max_length=30, help_text="accession number")

    class Meta:
        model = Exhibit
        fields = ("case", "item", *EXHIBIT_FIELDS)


class ExhibitChangeSerializer(serializers.ModelSerializer[Exhibit]):
    class Meta:
        model = Exhibit
        fields = EXHIBIT_FIELDS


class WithdrawalSerializer(serializers.Serializer[Exhibit]):
    reason = serializers.CharField(max_length=500)


class BundleSerializer(serializers.ModelSerializer[Bundle]):
    case = serializers.UUIDField(source="case_file_id", read_only=True)

    class Meta:
        model = Bundle
        fields = (
            "id",
            "case",
            "state",
            "done",
            "total",
            "problem",
            "requested_by",
            "requested_at",
            "finished_at",
            "size",
            "sha256",
            "digest",
            "exhibits",
            "opened",
            "fields_opened",
            "fields_withheld",
        )
        read_only_fields = fields


class NewBundleSerializer(serializers.Serializer[Bundle]):
    """`preset` or `opened`, not both; without either everything that may leave is opened."""

    case = serializers.UUIDField()
    preset = serializers.ChoiceField(Preset.choices, required=False)
    opened = serializers.ListField(child=serializers.ChoiceField(Field.choices), required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "preset" in attrs and "opened" in attrs:
            raise serializers.ValidationError({"opened": _("Give a preset or the fields, not both.")})
        return attrs
