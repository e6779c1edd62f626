from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "sql" / "escrow.sql"


class Migration(migrations.Migration):
    dependencies = [("evidence", "0090_escrow")]
    operations = [migrations.RunSQL(SQL.read_text(), migrations.RunSQL.noop)]
