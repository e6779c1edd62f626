from pathlib import Path

import django.contrib.postgres.indexes
from django.conf import settings
from django.contrib.postgres.operations import TrigramExtension
from django.db import migrations, models

import evidence.search

SQL = Path(__file__).resolve().parent.parent / "sql" / "normalise.sql"


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("evidence", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        TrigramExtension(),
        migrations.RunSQL(SQL.read_text(), migrations.RunSQL.noop),
        migrations.RemoveField(
            model_name="blob",
            name="stored_at",
        ),
        migrations.AddField(
            model_name="fixitycheck",
            name="steps",
            field=models.JSONField(default=list, help_text="what was tested, in order: [{name, good, detail}]"),
        ),
        migrations.AddField(
            model_name="item",
            name="search",
            field=models.GeneratedField(
                db_persist=True,
                expression=evidence.search.Normalised(
                    models.F("accession"), models.F("title"), models.F("description")
                ),
                output_field=models.TextField(),
            ),
        ),
        migrations.AddIndex(
            model_name="item",
            index=models.Index(fields=["-received_at", "-id"], name="item_newest_of_all"),
        ),
        migrations.AddIndex(
            model_name="item",
            index=django.contrib.postgres.indexes.GinIndex(
                fields=["search"], name="item_search", opclasses=["gin_trgm_ops"]
            ),
        ),
    ]
