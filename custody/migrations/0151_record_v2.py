from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "sql" / "record_v2.sql"


class Migration(migrations.Migration):
    dependencies = [("custody", "0150_quarantine")]
    operations = [migrations.RunSQL(SQL.read_text(), migrations.RunSQL.noop)]
