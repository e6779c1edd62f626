"""Who may do what with people, compartments, grants and tokens.

Managing a person is for administrators of the whole archive: whoever renews an invitation can become that person, so an
administrator of one compartment must not reach people whose grants lie elsewhere. In their compartment they grant and
revoke.
"""

from django.db.models import Q

from accounts.models import ApiToken, Compartment, Grant, Role, User
from accounts.permissions import rule

EVERYONE = list(Role)
ADMINISTRATORS = [Role.ADMINISTRATOR]
OVERSEERS = [Role.ADMINISTRATOR, Role.AUDITOR]

rule("compartment.view", Compartment, roles=EVERYONE, path="")
rule("compartment.open", Compartment, roles=ADMINISTRATORS, path="", whole_archive=True)
rule("compartment.edit", Compartment, roles=ADMINISTRATORS, path="")
rule("compartment.grant", Compartment, roles=ADMINISTRATORS, path="")

rule("user.view", User, roles=OVERSEERS, path=None)
rule("user.manage", User, roles=ADMINISTRATORS, path=None, whole_archive=True)

# Colleagues see who holds which role beside them; reasons and grants that ended are for those who oversee.
rule("grant.view", Grant, roles=EVERYONE)
rule("grant.oversee", Grant, roles=OVERSEERS)
rule("grant.revoke", Grant, roles=ADMINISTRATORS)

# One's own tokens, with or without a grant: whoever lost every role must still be able to withdraw a lost key.
rule("token.view", ApiToken, roles=None, path=None, where=lambda user: Q(user=user))
rule("token.revoke", ApiToken, roles=None, path=None, where=lambda user: Q(user=user))
