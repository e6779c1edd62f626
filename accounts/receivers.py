"""Signing in is recorded. Django's own signals are the only place that knows every way in."""

from typing import Any

from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.utils import timezone

from accounts.models import User
from custody.engine import Subject, acting, record
from custody.vocabulary import Type


@receiver(user_logged_in)
def record_sign_in(sender: Any, user: User, **_: Any) -> None:
    with acting():
        record(Type.SIGN_IN, by=user, at=timezone.now(), subjects=[Subject("user", user.id)])
