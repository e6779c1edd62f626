from django.db import migrations

from custody.roles import make_roles


def forwards(apps, schema_editor):
    make_roles(schema_editor.connection)


class Migration(migrations.Migration):
    """The roles; what each may do is granted after every migration (custody.apps), once all tables are there."""

    dependencies = [("custody", "0101_guard")]
    operations = [migrations.RunPython(forwards, migrations.RunPython.noop)]
