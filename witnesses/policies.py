"""Who may do what with witnesses, testimonies, consents and identities.

A legal reviewer knows a witness by pseudonym, reads testimonies and consents, and learns nothing else of the person.
Auditors, archivists and administrators learn nothing of witnesses. Only a protection officer opens an identity.
"""

from accounts.models import Role
from accounts.permissions import rule
from witnesses.models import Consent, Recording, Testimony, Witness

MEETS = [Role.INVESTIGATOR, Role.PROTECTION_OFFICER]
READS = [*MEETS, Role.LEGAL_REVIEWER]

rule("witness.view", Witness, roles=READS)
rule("witness.view_details", Witness, roles=MEETS)
rule("witness.open", Witness, roles=MEETS)
rule("witness.describe", Witness, roles=MEETS)
rule("witness.record_testimony", Witness, roles=MEETS)
rule("witness.record_consent", Witness, roles=MEETS)

# That the vault holds an identity, and who opened it when; not a word of what it says.
rule("identity.view", Witness, roles=MEETS)
rule("identity.record", Witness, roles=MEETS)
rule("identity.revise", Witness, roles=[Role.PROTECTION_OFFICER])
rule("identity.open", Witness, roles=[Role.PROTECTION_OFFICER])

rule("testimony.view", Testimony, roles=READS)
rule("testimony.view_text", Testimony, roles=READS)
rule("testimony.describe", Testimony, roles=MEETS)
rule("testimony.revise", Testimony, roles=MEETS)
rule("testimony.seal", Testimony, roles=MEETS)
rule("testimony.link_recording", Testimony, roles=MEETS)
rule("recording.view", Recording, roles=READS, path="testimony__compartment")
# A link holds its item to the witness's consent: whoever could withdraw it could let the recording go without one.
rule("recording.withdraw", Recording, roles=[Role.PROTECTION_OFFICER], path="testimony__compartment")

rule("consent.view", Consent, roles=READS, path="witness__compartment")
rule("consent.withdraw", Consent, roles=MEETS, path="witness__compartment")
