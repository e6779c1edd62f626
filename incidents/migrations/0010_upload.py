import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("evidence", "0060_erasure"),
        ("incidents", "0002_violation_categories"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Upload",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("key", models.UUIDField(help_text="the idempotency key of the item to come")),
                ("length", models.BigIntegerField(help_text="bytes of the whole file")),
                ("offset", models.BigIntegerField(default=0, help_text="bytes that are durable here")),
                ("blob_id", models.UUIDField(help_text="what names the staged bytes and binds them to their key")),
                (
                    "wrapped_key",
                    models.BinaryField(help_text="the key of the staged bytes; empty when they are needed no more"),
                ),
                (
                    "sealed_metadata",
                    models.BinaryField(help_text="Upload-Metadata as it was sent, sealed under a key of the upload's"),
                ),
                ("declared_sha256", models.CharField(blank=True, max_length=64)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("receiving", "arriving"),
                            ("finishing", "arrived, being checked"),
                            ("held", "held"),
                            ("failed", "not taken"),
                            ("expired", "expired"),
                        ],
                        default="receiving",
                        max_length=10,
                    ),
                ),
                ("problem_code", models.CharField(blank=True, max_length=40)),
                ("problem_detail", models.TextField(blank=True)),
                (
                    "writer",
                    models.UUIDField(help_text="the request or job at work; stays when it was cut down", null=True),
                ),
                ("created_at", models.DateTimeField()),
                (
                    "touched_at",
                    models.DateTimeField(help_text="when the last byte became durable, or the last thing happened"),
                ),
                ("expires_at", models.DateTimeField()),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "intake",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="uploads", to="incidents.intake"
                    ),
                ),
                (
                    "item",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="evidence.item"
                    ),
                ),
            ],
            options={
                "ordering": ["-created_at", "-id"],
            },
        ),
        migrations.CreateModel(
            name="UploadPart",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("start", models.BigIntegerField()),
                ("stop", models.BigIntegerField()),
                ("sha256", models.CharField(max_length=64)),
                (
                    "upload",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="parts", to="incidents.upload"
                    ),
                ),
            ],
            options={
                "ordering": ["start"],
            },
        ),
        migrations.AddIndex(
            model_name="upload",
            index=models.Index(
                condition=models.Q(("state__in", ["receiving", "finishing", "failed"])),
                fields=["expires_at"],
                name="upload_open",
            ),
        ),
        migrations.AddIndex(
            model_name="upload",
            index=models.Index(fields=["by", "key"], name="upload_by_key"),
        ),
        migrations.AddIndex(
            model_name="upload",
            index=models.Index(fields=["blob_id"], name="upload_blob"),
        ),
        migrations.AddConstraint(
            model_name="upload",
            constraint=models.CheckConstraint(
                condition=models.Q(("offset__gte", 0), ("offset__lte", models.F("length"))),
                name="upload_offset_in_length",
            ),
        ),
        migrations.AddConstraint(
            model_name="upload",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ["receiving", "finishing", "held"])),
                fields=("by", "key"),
                name="upload_key_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="uploadpart",
            constraint=models.UniqueConstraint(fields=("upload", "start"), name="upload_part_once"),
        ),
    ]
