from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "sql" / "rewrap.sql"


class Migration(migrations.Migration):
    dependencies = [("custody", "0153_search_path")]
    operations = [migrations.RunSQL(SQL.read_text(), migrations.RunSQL.noop)]
