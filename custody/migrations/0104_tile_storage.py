from django.db import migrations


class Migration(migrations.Migration):
    """Hashes do not compress: trying costs time at every write and every read."""

    dependencies = [("custody", "0103_erase")]
    operations = [
        migrations.RunSQL("ALTER TABLE custody_tile ALTER COLUMN hashes SET STORAGE EXTERNAL", migrations.RunSQL.noop)
    ]
