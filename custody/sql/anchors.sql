-- A cosignature is insert-only. An anchor waits in the queue without a token; once it has one, it stays as it is.
CREATE OR REPLACE FUNCTION custody_anchor_v1() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.response IS NOT NULL
       OR (NEW.id, NEW.authority, NEW.checkpoint_id, NEW.imprint, NEW.queued_at, NEW.test)
          IS DISTINCT FROM (OLD.id, OLD.authority, OLD.checkpoint_id, OLD.imprint, OLD.queued_at, OLD.test)
    THEN
        RAISE EXCEPTION 'custody is append-only: % on % refused', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END;
$$;
CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON custody_anchor
    FOR EACH ROW EXECUTE FUNCTION custody_anchor_v1();
CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON custody_cosignature
    FOR EACH ROW EXECUTE FUNCTION custody_append_only_v1();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON custody_anchor
    FOR EACH STATEMENT EXECUTE FUNCTION custody_append_only_v1();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON custody_cosignature
    FOR EACH STATEMENT EXECUTE FUNCTION custody_append_only_v1();
ALTER TABLE custody_anchor ENABLE ALWAYS TRIGGER append_only_rows;
ALTER TABLE custody_anchor ENABLE ALWAYS TRIGGER append_only_truncate;
ALTER TABLE custody_cosignature ENABLE ALWAYS TRIGGER append_only_rows;
ALTER TABLE custody_cosignature ENABLE ALWAYS TRIGGER append_only_truncate;
