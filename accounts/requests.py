"""What a request says about the person behind it."""

from django.http import HttpRequest

from accounts.models import User
from accounts.permissions import NotVisible


def person(request: HttpRequest) -> User:
    """The signed-in person. Raises NotVisible where nobody is, which the sign-in middleware prevents."""
    user = request.user
    if not isinstance(user, User):
        raise NotVisible
    return user
