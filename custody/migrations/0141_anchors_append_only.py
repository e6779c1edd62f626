from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "sql" / "anchors.sql"


class Migration(migrations.Migration):
    dependencies = [("custody", "0140_anchors")]
    operations = [migrations.RunSQL(SQL.read_text(), migrations.RunSQL.noop)]
