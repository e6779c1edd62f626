"""The ledger's tables. None has a foreign key out, and entries are never changed (custody/sql/append_only.sql)."""

import uuid

from django.db import models

from custody.vocabulary import Outcome, types


class Event(models.Model):
    """The readable index of a custody event: who, what, when. The Entry is the proof, Disclosures hold the values."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    type = models.CharField(max_length=40, choices=types)
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    at = models.DateTimeField()
    agent_id = models.UUIDField()
    compartment_id = models.UUIDField(null=True)
    entry = models.BinaryField()

    class Meta:
        indexes = [
            models.Index(fields=["-at", "-id"], name="event_newest"),
            models.Index(fields=["compartment_id", "-at"], name="event_compartment"),
            models.Index(fields=["agent_id", "-at"], name="event_agent"),
            models.Index(fields=["type", "-at"], name="event_type"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"


class EventSubject(models.Model):
    """What an event was about. One event may concern an item and an incident."""

    event_id = models.UUIDField()
    kind = models.CharField(max_length=20)
    subject_id = models.UUIDField()
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["event_id", "kind", "subject_id"], name="subject_once")]
        indexes = [models.Index(fields=["kind", "subject_id", "at"], name="subject_story")]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject_id}"


class Disclosure(models.Model):
    """One field of an event: {salt, value}, sealed under the subject's key. It opens the entry's commitment."""

    event_id = models.UUIDField()
    field = models.CharField(max_length=32)
    subject_id = models.UUIDField()
    sealed = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["event_id", "field"], name="disclosure_once")]

    def __str__(self) -> str:
        return f"{self.event_id} {self.field}"


class SubjectKey(models.Model):
    """The 256-bit key of one subject, wrapped by the key provider. Destroying it is crypto-shredding."""

    subject_id = models.UUIDField(primary_key=True)
    wrapped = models.BinaryField()

    def __str__(self) -> str:
        return str(self.subject_id)


class Pending(models.Model):
    """An event whose transaction committed and that has no place in the tree yet."""

    event_id = models.UUIDField(unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return str(self.event_id)


class Quarantine(models.Model):
    """An event that the sequencer keeps out of the tree, and why (custody.admission). It stays; it is released once.

    The lock on this table is the sequencer's turn: no role but its own, and the owner's, can take it.
    """

    event_id = models.UUIDField()
    reason = models.TextField()
    at = models.DateTimeField()
    released_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["event_id"], condition=models.Q(released_at=None), name="quarantined_once")
        ]

    def __str__(self) -> str:
        return f"{self.event_id}: {self.reason}"


class Entry(models.Model):
    """One leaf of the ledger: the exact canonical bytes at their index. Insert only."""

    index = models.BigIntegerField(primary_key=True)
    event_id = models.UUIDField(unique=True)
    entry = models.BinaryField()
    leaf_hash = models.BinaryField()

    def __str__(self) -> str:
        return str(self.index)


class Tile(models.Model):
    """One C2SP tlog-tile: up to 256 hashes of 32 bytes, holding its current prefix."""

    level = models.SmallIntegerField()
    index = models.BigIntegerField()
    hashes = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["level", "index"], name="tile_once")]

    def __str__(self) -> str:
        return f"{self.level}/{self.index}"


class Checkpoint(models.Model):
    """A signed head of the tree (C2SP tlog-checkpoint in a signed note). Insert only.

    `chain` binds it to every checkpoint before it (custody.signer.link): none can be taken out unnoticed. The n-th has
    the number n, once: two signers cannot both have signed it. Cosigners and authorities are sent those with
    `heartbeat`, which are signed at fixed times whether anything happened or not; the chain binds the mark.
    """

    number = models.BigIntegerField(unique=True)
    size = models.BigIntegerField()
    root = models.BinaryField()
    note = models.TextField()
    signed_at = models.DateTimeField()
    chain = models.BinaryField()
    heartbeat = models.BooleanField(default=False)

    class Meta:
        indexes = [
            models.Index(fields=["-size", "-signed_at"], name="checkpoint_newest"),
            models.Index(fields=["-signed_at"], name="checkpoint_heartbeat", condition=models.Q(heartbeat=True)),
        ]

    def __str__(self) -> str:
        return f"{self.size}"


class Cosignature(models.Model):
    """A partner's signature line under a checkpoint (custody.cosigners). Insert only; `event_id` recorded its arrival.

    `cosigner` is the name of its key; `line` is exact and ends without a newline.
    """

    checkpoint = models.ForeignKey(
        Checkpoint, on_delete=models.DO_NOTHING, db_constraint=False, related_name="cosignatures"
    )
    cosigner = models.CharField(max_length=128)
    key_id = models.CharField(max_length=8)
    line = models.TextField()
    cosigned_at = models.DateTimeField()
    event_id = models.UUIDField()

    class Meta:
        indexes = [models.Index(fields=["cosigner", "key_id", "-id"], name="cosignature_newest")]

    def __str__(self) -> str:
        return f"{self.cosigner} {self.cosigned_at:%Y-%m-%dT%H:%M:%SZ}"


class Anchor(models.Model):
    """A head that is to be, or was, timestamped by an authority (RFC 3161; custody.anchors).

    Queued without a token; with one it never changes again. `imprint` is the hex SHA-512 of the checkpoint's note,
    `response` the authority's whole TimeStampResp, `stamped_at` the time in it. `test`: the authority was configured
    as one for tests.
    """

    authority = models.CharField(max_length=64)
    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.DO_NOTHING, db_constraint=False, related_name="anchors")
    imprint = models.CharField(max_length=128)
    queued_at = models.DateTimeField()
    response = models.BinaryField(null=True)
    stamped_at = models.DateTimeField(null=True)
    event_id = models.UUIDField(null=True)
    test = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["authority", "checkpoint"], name="anchor_once"),
            models.CheckConstraint(
                condition=models.Q(response=None, stamped_at=None, event_id=None)
                | models.Q(response__isnull=False, stamped_at__isnull=False, event_id__isnull=False),
                name="anchor_whole",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.authority} {self.checkpoint_id}"


class Correspondence(models.Model):
    """How it goes with one partner: when it may be asked again, and why it failed. Not evidence, and overwritten.

    `partner` is the name of a cosigner's key or of an authority.
    """

    COSIGNER, AUTHORITY = "cosigner", "authority"

    kind = models.CharField(max_length=10)
    partner = models.CharField(max_length=128)
    asked_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    next_at = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    problem = models.TextField(default="")
    failed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "partner"], name="correspondence_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.partner}"
