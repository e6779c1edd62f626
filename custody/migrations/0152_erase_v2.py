from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "sql" / "erase_v2.sql"


class Migration(migrations.Migration):
    dependencies = [("custody", "0151_record_v2")]
    operations = [migrations.RunSQL(SQL.read_text(), migrations.RunSQL.noop)]
