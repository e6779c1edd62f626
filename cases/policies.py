"""Who may do what with case files, exhibits and bundles."""

from accounts.models import Role
from accounts.permissions import rule
from cases.models import Bundle, CaseFile, Exhibit

LEGAL = [Role.LEGAL_REVIEWER]
READS = [Role.LEGAL_REVIEWER, Role.PROTECTION_OFFICER]

rule("case.view", CaseFile, roles=READS)
rule("case.open", CaseFile, roles=LEGAL)
rule("case.edit", CaseFile, roles=LEGAL)
rule("case.export", CaseFile, roles=LEGAL)
rule("exhibit.view", Exhibit, roles=READS, path="case_file__compartment")
rule("exhibit.edit", Exhibit, roles=LEGAL, path="case_file__compartment")
rule("exhibit.review", Exhibit, roles=LEGAL, path="case_file__compartment")
rule("bundle.view", Bundle, roles=LEGAL, path="case_file__compartment")
rule("bundle.download", Bundle, roles=LEGAL, path="case_file__compartment")
rule("bundle.cancel", Bundle, roles=LEGAL, path="case_file__compartment")
