"""Items as the API tells them. What speaks of content is left out for whoever may not see content."""

from typing import Any

from rest_framework import serializers

from evidence.description import DESCRIBED, described, version_of
from evidence.models import FixityCheck, Item
from evidence.vocabulary import FixityOutcome, Kind


class ItemRowSerializer(serializers.Serializer[Item]):
    """An item in a list. `readable` says whether the fields that speak of content are in it."""

    accession = serializers.CharField()
    compartment = serializers.CharField(help_text="code of the compartment")
    sha256 = serializers.CharField()
    sha512 = serializers.CharField()
    size = serializers.IntegerField(help_text="bytes as received")
    received_at = serializers.DateTimeField()
    received_by = serializers.UUIDField()
    duplicate_of = serializers.CharField(allow_null=True, help_text="accession number of the first with these bytes")
    last_verified_at = serializers.DateTimeField(allow_null=True)
    last_outcome = serializers.ChoiceField(choices=FixityOutcome.choices, allow_blank=True)
    erased_at = serializers.DateTimeField(allow_null=True, help_text="then nothing else is told of it")
    readable = serializers.BooleanField()
    media_type = serializers.CharField(required=False)
    type_conflict = serializers.BooleanField(required=False)
    examined_at = serializers.DateTimeField(required=False, allow_null=True)
    title = serializers.CharField(required=False)
    kind = serializers.ChoiceField(choices=Kind.choices, required=False)
    graphic = serializers.BooleanField(required=False)
    created_edtf = serializers.CharField(required=False)
    published_edtf = serializers.CharField(required=False)
    collected_edtf = serializers.CharField(required=False)


class ItemSerializer(ItemRowSerializer):
    """One item with all its words, given out only after the event of reading it."""

    original_name = serializers.CharField(required=False)
    examination_problem = serializers.CharField(required=False)
    has_preview = serializers.BooleanField(required=False)
    device_claims = serializers.DictField(child=serializers.CharField(), required=False)
    described = serializers.DictField(required=False, help_text="what people say of it; null is not stated")
    version = serializers.CharField(required=False, help_text="of the description, for PATCH")


def as_row(item: Item, *, readable: bool) -> dict[str, Any]:
    """An item as ItemRowSerializer describes it: what the library shows, and no word more."""
    told: dict[str, Any] = {
        "accession": item.accession,
        "compartment": item.compartment.code,
        "sha256": item.sha256,
        "sha512": item.sha512,
        "size": item.size,
        "received_at": item.received_at,
        "received_by": item.received_by_id,
        "duplicate_of": item.duplicate_of.accession if item.duplicate_of else None,
        "last_verified_at": item.last_verified_at,
        "last_outcome": item.last_outcome,
        "erased_at": item.erased_at,
        "readable": readable,
    }
    if readable:
        told |= {
            "media_type": item.media_type,
            "type_conflict": item.type_conflict,
            "examined_at": item.examined_at,
            "title": item.title,
            "kind": item.kind,
            "graphic": item.graphic,
            "created_edtf": item.created_edtf,
            "published_edtf": item.published_edtf,
            "collected_edtf": item.collected_edtf,
        }
    return told


def as_json(item: Item, *, readable: bool) -> dict[str, Any]:
    """An item as ItemSerializer describes it; the caller has fetched it with evidence.actions.open_record."""
    told = as_row(item, readable=readable)
    if readable:
        told |= {
            "original_name": item.original_name,
            "examination_problem": item.examination_problem,
            "has_preview": item.derivatives.filter(purpose="preview").exists(),
            "device_claims": item.claims,
            "described": described(item),
            "version": version_of(item),
        }
    return told


class DescribeSerializer(serializers.ModelSerializer[Item]):
    """Any of the described fields, and the version that was seen."""

    version = serializers.CharField(required=False, write_only=True, max_length=64)
    reason = serializers.CharField(required=False, write_only=True, max_length=500, allow_blank=True)

    class Meta:
        model = Item
        fields = [*DESCRIBED, "version", "reason"]

    def get_validators(self) -> list[Any]:
        return []  # what holds between fields is checked by the action, under lock


class FixityStepSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    good = serializers.BooleanField()
    detail = serializers.CharField(allow_blank=True)


class FixityCheckSerializer(serializers.ModelSerializer[FixityCheck]):
    """One test of an item, step by step."""

    steps = FixityStepSerializer(many=True)

    class Meta:
        model = FixityCheck
        fields = ["id", "at", "by_id", "outcome", "detail", "steps", "event_id"]


class CustodyLineSerializer(serializers.Serializer[Any]):
    """One custody event. `fields` holds its opened values, only for whoever may see content."""

    event_id = serializers.UUIDField()
    at = serializers.DateTimeField()
    type = serializers.CharField(help_text="a PREMIS event type, or one of sanad/")
    premis = serializers.CharField(allow_null=True, help_text="id.loc.gov URI of a PREMIS type")
    outcome = serializers.ChoiceField(choices=["success", "failure", "refused"])
    agent_id = serializers.UUIDField()
    index = serializers.IntegerField(allow_null=True)
    recorded = serializers.BooleanField(help_text="a signed checkpoint covers it")
    erased = serializers.ListField(child=serializers.CharField(), help_text="values that an erasure destroyed")
    lost = serializers.ListField(
        child=serializers.CharField(), help_text="values that are missing, unexplained: a fault"
    )
    fields_opened = serializers.DictField(required=False)


class ItemListSerializer(serializers.Serializer[Any]):
    """One page, newest first. `count` stops at 1,001; `next` is the address of the page that follows."""

    count = serializers.IntegerField()
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = ItemRowSerializer(many=True)
