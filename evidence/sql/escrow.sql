-- Escrow lasts exactly as long as the key it is of: whoever destroys a blob's key, or its row, destroys the opener that
-- the archive itself keeps of it, in the same transaction. A row of escrow is replaced as a whole and never changed.
DO $$
BEGIN
    EXECUTE format($define$
        CREATE FUNCTION evidence_escrow_ends_v1() RETURNS trigger
        LANGUAGE plpgsql SET search_path = %1$I, pg_temp AS $body$
        BEGIN
            IF TG_OP = 'DELETE' OR length(NEW.wrapped_key) = 0 THEN
                DELETE FROM evidence_escrow WHERE blob_id = OLD.id;
            END IF;
            RETURN NULL;
        END;
        $body$
    $define$, current_schema());
    EXECUTE format($define$
        CREATE FUNCTION evidence_escrow_unchanged_v1() RETURNS trigger
        LANGUAGE plpgsql SET search_path = %1$I, pg_temp AS $body$
        BEGIN
            RAISE EXCEPTION 'a row of escrow is replaced, not changed' USING ERRCODE = 'integrity_constraint_violation';
        END;
        $body$
    $define$, current_schema());
END;
$$;
CREATE TRIGGER escrow_ends AFTER DELETE OR UPDATE OF wrapped_key ON evidence_blob
    FOR EACH ROW EXECUTE FUNCTION evidence_escrow_ends_v1();
ALTER TABLE evidence_blob ENABLE ALWAYS TRIGGER escrow_ends;
CREATE TRIGGER escrow_unchanged BEFORE UPDATE ON evidence_escrow
    FOR EACH ROW EXECUTE FUNCTION evidence_escrow_unchanged_v1();
ALTER TABLE evidence_escrow ENABLE ALWAYS TRIGGER escrow_unchanged;
