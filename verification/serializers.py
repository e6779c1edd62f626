"""What the API says about runs, checkpoints, entries and coverage."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import Compartment
from custody.models import Checkpoint
from verification.models import Run, RunResult, Schedule
from verification.queries import Coverage
from verification.vocabulary import Figure, Scope


class FaultSerializer(serializers.Serializer[dict[str, str]]):
    """A fault of the ledger: where, and what."""

    where = serializers.CharField()
    what = serializers.CharField()


class RunSerializer(serializers.ModelSerializer[Run]):
    """A verification run and how far it is. `clean`: finished, and nothing wrong was found."""

    compartment = serializers.CharField(source="compartment.code", default=None)
    requested_by = serializers.UUIDField(source="requested_by_id")
    ledger_faults = FaultSerializer(many=True)
    clean = serializers.BooleanField(source="is_clean")
    unreached = serializers.IntegerField()

    class Meta:
        model = Run
        fields = (
            "id",
            "scope",
            "compartment",
            "accessions",
            "requested_by",
            "requested_at",
            "state",
            "started_at",
            "finished_at",
            "problem",
            "ledger_done",
            "ledger_total",
            "ledger_checked_at",
            "ledger_faults",
            "ledger_fault_count",
            "total",
            "done",
            "failed",
            "unreached",
            "clean",
        )
        read_only_fields = fields


class NewRunSerializer(serializers.Serializer[dict[str, Any]]):
    """What to verify: `compartment` (its code) for that scope, `accessions` for one and selection."""

    scope = serializers.ChoiceField(choices=Scope.choices)
    compartment = serializers.SlugRelatedField("code", queryset=Compartment.objects.none(), required=False)
    accessions = serializers.ListField(child=serializers.CharField(max_length=30), required=False, max_length=10_000)


class RunResultSerializer(serializers.ModelSerializer[RunResult]):
    """What a run found of one item. `check` is the fixity check in the item's history."""

    check = serializers.UUIDField(source="check_id")

    class Meta:
        model = RunResult
        fields = ("accession", "outcome", "detail", "at", "check")


class CheckpointSerializer(serializers.ModelSerializer[Checkpoint]):
    """A signed head: tree size, root (hex) and the signed note (C2SP tlog-checkpoint), verbatim."""

    root_hash = serializers.SerializerMethodField()

    class Meta:
        model = Checkpoint
        fields = ("id", "size", "root_hash", "signed_at", "note")

    @extend_schema_field(serializers.CharField())
    def get_root_hash(self, row: Checkpoint) -> str:
        return bytes(row.root).hex()


class EntrySerializer(serializers.Serializer[dict[str, Any]]):
    """An entry: its exact bytes (base64), leaf hash (hex), and its proof (C2SP tlog-proof) once a head covers it."""

    index = serializers.IntegerField()
    event = serializers.UUIDField()
    entry = serializers.CharField()
    leaf_hash = serializers.CharField()
    proof = serializers.CharField(allow_null=True)


class CoverageSerializer(serializers.Serializer[Any]):
    """Counts of items of one compartment by their verification."""

    compartment = serializers.CharField(source="compartment.code")
    total = serializers.IntegerField()
    verified_7_days = serializers.SerializerMethodField()
    verified_30_days = serializers.SerializerMethodField()
    verified_90_days = serializers.SerializerMethodField()
    older = serializers.SerializerMethodField()
    never = serializers.SerializerMethodField()
    failed = serializers.SerializerMethodField()
    pending = serializers.SerializerMethodField()
    oldest = serializers.DateTimeField(allow_null=True)

    def get_verified_7_days(self, row: Coverage) -> int:
        return row.figures[Figure.WEEK]

    def get_verified_30_days(self, row: Coverage) -> int:
        return row.figures[Figure.MONTH]

    def get_verified_90_days(self, row: Coverage) -> int:
        return row.figures[Figure.QUARTER]

    def get_older(self, row: Coverage) -> int:
        return row.figures[Figure.OLDER]

    def get_never(self, row: Coverage) -> int:
        return row.figures[Figure.NEVER]

    def get_failed(self, row: Coverage) -> int:
        return row.figures[Figure.FAILED]

    def get_pending(self, row: Coverage) -> int:
        return row.figures[Figure.PENDING]


class SweepSerializer(serializers.Serializer[Any]):
    """A compartment's sweeps: its schedule (`own`, or the archive's), what is due, what the last seven days found."""

    compartment = serializers.CharField(source="plan.compartment.code")
    cycle_days = serializers.IntegerField(source="plan.cycle.days")
    first_hour = serializers.IntegerField(source="plan.first_hour")
    last_hour = serializers.IntegerField(source="plan.last_hour")
    paused = serializers.BooleanField(source="plan.paused")
    own = serializers.SerializerMethodField()
    due = serializers.IntegerField()
    open = serializers.BooleanField()
    verified = serializers.IntegerField()
    failed = serializers.IntegerField()

    def get_own(self, row: Any) -> bool:
        return row.plan.schedule is not None


class ScheduleSerializer(serializers.ModelSerializer[Schedule]):
    """A compartment's own sweep schedule."""

    class Meta:
        model = Schedule
        fields = ("cycle_days", "first_hour", "last_hour", "paused", "reason")


class ReasonSerializer(serializers.Serializer[Any]):
    """Why."""

    reason = serializers.CharField(max_length=300)
