import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("evidence", "0100_sweep_order"),
        ("incidents", "0010_upload"),
    ]

    operations = [
        migrations.CreateModel(
            name="Member",
            fields=[
                (
                    "item",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="came_out_of",
                        serialize=False,
                        to="evidence.item",
                    ),
                ),
                (
                    "sealed_path",
                    models.BinaryField(help_text="the path inside, sealed under the item's key; empty once erased"),
                ),
                (
                    "container",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="members", to="evidence.item"
                    ),
                ),
            ],
            options={"ordering": ["container", "item__accession"]},
        ),
    ]
