from django.db import migrations, models

# Rows are insert-only; the number they always had is written down once, by whoever owns the tables.
NUMBER = """
ALTER TABLE custody_checkpoint DISABLE TRIGGER append_only_rows;
UPDATE custody_checkpoint c SET number = n.number
  FROM (SELECT id, row_number() OVER (ORDER BY id) AS number FROM custody_checkpoint) n WHERE n.id = c.id;
ALTER TABLE custody_checkpoint ENABLE ALWAYS TRIGGER append_only_rows;
"""


class Migration(migrations.Migration):
    dependencies = [("custody", "0104_tile_storage")]
    operations = [
        migrations.AddField("checkpoint", "number", models.BigIntegerField(null=True)),
        migrations.RunSQL(NUMBER, migrations.RunSQL.noop),
        migrations.AlterField("checkpoint", "number", models.BigIntegerField(unique=True)),
        migrations.AddField("checkpoint", "heartbeat", models.BooleanField(default=False)),
        migrations.AddIndex(
            "checkpoint",
            models.Index(condition=models.Q(("heartbeat", True)), fields=["-signed_at"], name="checkpoint_heartbeat"),
        ),
    ]
