from django.apps import AppConfig


class EvidenceConfig(AppConfig):
    name = "evidence"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from custody import rewrapping
        from custody.roles import open_to_auditor
        from evidence import checks, erasure_parts, escrow_exports, home, navigation, policies  # noqa: F401  registers permissions, entrance and card

        open_to_auditor("evidence_item", "id", "accession", "compartment_id", "blob_id", "sha256", "sha512", "size")
        open_to_auditor("evidence_blob", "id", "address", "size", "key_commitment")
        open_to_auditor("evidence_fixitycheck", "id", "item_id", "at", "outcome", "event_id")
        rewrapping.register(rewrapping.Wrapped("evidence_blob", "id", "wrapped_key", "blob"))
        erasure_parts.register(erasure_parts.Part(beyond=escrow_exports.beyond, tables=("evidence_escrow",)))
