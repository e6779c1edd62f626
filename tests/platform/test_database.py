import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import Client


@pytest.mark.parametrize("run", [1, 2])
@pytest.mark.django_db(transaction=True)
def test_a_transactional_test_finds_the_database_as_migrations_left_it(run: int) -> None:
    assert ContentType.objects.filter(app_label="auth").exists()
    assert not ContentType.objects.filter(app_label="left behind").exists()

    ContentType.objects.create(app_label="left behind", model="x")
    ContentType.objects.filter(app_label="auth").delete()


@pytest.mark.django_db
def test_pages_use_the_embedded_cluster_without_being_superuser(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT usesuper, current_setting('data_checksums') FROM pg_user WHERE usename = current_user")
        assert cursor.fetchone() == (False, "on")
