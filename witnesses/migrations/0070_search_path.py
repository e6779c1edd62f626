from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "sql" / "search_path.sql"


class Migration(migrations.Migration):
    dependencies = [("witnesses", "0002_insert_only")]
    operations = [migrations.RunSQL(SQL.read_text(), migrations.RunSQL.noop)]
