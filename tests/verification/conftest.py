"""A compartment with items under a signed head, and somebody to audit it."""

import pytest

from accounts.models import Compartment, Role, User
from custody.sequencer import drain
from custody.signer import sign_head
from evidence.models import Item
from tests import factories


@pytest.fixture
def compartment() -> Compartment:
    return factories.make_compartment()


@pytest.fixture
def items(compartment: Compartment) -> list[Item]:
    """Three items whose reception is under a signed head, by accession number."""
    investigator = factories.make_user(Role.INVESTIGATOR, compartment)
    made = [factories.make_item(compartment, by=investigator) for _ in range(3)]
    drain()
    sign_head()
    return made


@pytest.fixture
def auditor(compartment: Compartment) -> User:
    """Audits the whole archive."""
    return factories.make_user(Role.AUDITOR)


@pytest.fixture
def own_auditor(compartment: Compartment) -> User:
    """Audits this compartment and no other."""
    return factories.make_user(Role.AUDITOR, compartment)
