"""The event types of the ledger: PREMIS 3 terms where one exists, our own namespace where none does."""

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

PREMIS = "http://id.loc.gov/vocabulary/preservation/eventType/"


class Type(models.TextChoices):
    """What was done. The value is the exact string in a ledger entry and never changes meaning."""

    # PREMIS 3 event types.
    RECEIVE = "ingestion", _("Received")
    INGESTION_START = "ingestion start", _("Intake opened")
    VIEW = "displaying", _("Viewed")
    DOWNLOAD = "dissemination", _("Downloaded")
    DESCRIBE = "metadata modification", _("Described")
    EXTRACT = "metadata extraction", _("Device claims read")
    IDENTIFY = "format identification", _("Format identified")
    VERIFY = "fixity check", _("Verified")
    POLICY = "policy assignment", _("Policy set")
    TRANSFER = "transfer", _("Handed over")
    CREATE = "creation", _("Created")
    PACKAGE = "information package creation", _("Bundle made")
    EXPORT = "exporting", _("Exported")
    DELETE = "deletion", _("Stored bytes deleted")
    REPLICATE = "replication", _("Copied to another store")
    UNPACK = "unpacking", _("Came out of a container")
    # Ours: sanad/<term>.
    TAG = "sanad/tag", _("Linked to an incident")
    IMPORT = "sanad/import", _("Descriptions imported")
    UNTAG = "sanad/untag", _("Link withdrawn")
    EXHIBIT = "sanad/exhibit", _("Made an exhibit")
    REVIEW = "sanad/review", _("Reviewed")
    GRANT = "sanad/grant", _("Granted")
    REVOKE = "sanad/revoke", _("Revoked")
    INVITE = "sanad/invite", _("Invited")
    ACCOUNT = "sanad/account", _("Account changed")
    TOKEN = "sanad/token", _("API token issued or withdrawn")
    SIGN_IN = "sanad/sign-in", _("Signed in")
    REFUSE = "sanad/refusal", _("Refused")
    OPEN_IDENTITY = "sanad/identity-opening", _("Identity opened")
    READ_TRAIL = "sanad/trail-reading", _("Custody trail read")
    INTERVIEW = "sanad/testimony", _("Testimony recorded")
    CONSENT = "sanad/consent", _("Consent recorded")
    WITHDRAW_CONSENT = "sanad/consent-withdrawal", _("Consent withdrawn")
    RECORD_IDENTITY = "sanad/identity-recording", _("Identity recorded")
    ASK_SPOKEN = "sanad/spoken-before", _("Asked whether a person already spoke to us")
    SEAL = "sanad/seal", _("Sealed")
    CORRECT = "sanad/correction", _("Corrected after sealing")
    LINK_RECORDING = "sanad/recording", _("Linked as a recording of a testimony")
    UNLINK_RECORDING = "sanad/recording-withdrawal", _("Recording withdrawn from a testimony")
    VERIFICATION = "sanad/verification-run", _("Verification run asked for or stopped")
    VERIFY_LEDGER = "sanad/ledger-verification", _("Ledger verified")
    ADD_KEY = "sanad/key-add", _("Key of the ledger added")
    RETIRE_KEY = "sanad/key-retire", _("Key of the ledger retired")
    COMPROMISE_KEY = "sanad/key-compromise", _("Key of the ledger compromised")
    ESTABLISH_SIGNER = "sanad/signer-establishment", _("Signer’s memory established anew")
    REPLAY = "sanad/replay", _("Ledger replayed from its export")
    COSIGN = "sanad/cosignature", _("Ledger cosigned")
    ANCHOR = "sanad/anchor", _("Ledger timestamped")
    REQUEST_ERASURE = "sanad/erasure-request", _("Erasure requested")
    CLOSE_ERASURE = "sanad/erasure-closing", _("Erasure refused or withdrawn")
    ERASE = "sanad/erasure", _("Erased")
    WRAPPING_KEY = "sanad/wrapping-key", _("Key-encryption key changed")
    ESCROW = "sanad/escrow", _("Keys given to escrow")
    REPAIR = "sanad/copy-repair", _("Stored copy repaired from a good one")

    @property
    def premis(self) -> str | None:
        """The id.loc.gov URI of a PREMIS term, or None for one of ours."""
        code = _PREMIS_CODES.get(self.value)
        return PREMIS + code if code else None


def types() -> list[tuple[str, Any]]:
    """The choices of Event.type; by name, so that a new type needs no migration."""
    return list(Type.choices)


_PREMIS_CODES = {
    "ingestion": "ing",
    "ingestion start": "ins",
    "displaying": "dsp",
    "dissemination": "dis",
    "metadata modification": "mem",
    "metadata extraction": "mee",
    "format identification": "for",
    "fixity check": "fix",
    "policy assignment": "poa",
    "transfer": "tra",
    "creation": "cre",
    "information package creation": "ipc",
    "exporting": "exp",
    "deletion": "del",
    "replication": "rep",
    "unpacking": "unp",
}


class Outcome(models.TextChoices):
    """How the act ended (PREMIS eventOutcome, plus our refusal)."""

    SUCCESS = "success", _("Done")
    FAILURE = "failure", _("Failed")
    REFUSED = "refused", _("Refused")
