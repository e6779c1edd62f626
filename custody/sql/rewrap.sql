-- A subject's key may be wrapped anew by another key-encryption key (custody/rewrapping.py), and changed in no other way.
-- What SQL can tell of it: the row stays that of its subject, and the new envelope is of version 2, of the one size it
-- has, and names another key-encryption key. Only the owner may update the table at all (custody/roles.py).
DO $$
BEGIN
    EXECUTE format($define$
        CREATE FUNCTION custody_rewrapped_v1() RETURNS trigger
        LANGUAGE plpgsql SET search_path = %I, pg_temp AS $body$
        BEGIN
            IF NEW.subject_id IS DISTINCT FROM OLD.subject_id
               OR length(NEW.wrapped) < 9 + 32 OR get_byte(NEW.wrapped, 0) <> 2
               OR substr(NEW.wrapped, 1, 9) = substr(OLD.wrapped, 1, 9) THEN
                RAISE EXCEPTION 'custody is append-only: a subject''s key may be wrapped anew, not changed'
                    USING ERRCODE = 'integrity_constraint_violation';
            END IF;
            RETURN NEW;
        END;
        $body$
    $define$, current_schema());
END;
$$;
DROP TRIGGER append_only_rows ON custody_subjectkey;
CREATE TRIGGER append_only_rows BEFORE UPDATE ON custody_subjectkey
    FOR EACH ROW EXECUTE FUNCTION custody_rewrapped_v1();
ALTER TABLE custody_subjectkey ENABLE ALWAYS TRIGGER append_only_rows;
