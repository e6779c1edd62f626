-- A row of the quarantine stays; it is released once, by whoever repaired what it names, and nothing else of it changes.
SELECT custody_guard_v1('custody_quarantine', 'DELETE');

CREATE FUNCTION custody_quarantine_released_once_v1() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.released_at IS NOT NULL
       OR (NEW.id, NEW.event_id, NEW.reason, NEW.at) IS DISTINCT FROM (OLD.id, OLD.event_id, OLD.reason, OLD.at) THEN
        RAISE EXCEPTION 'custody is append-only: UPDATE on custody_quarantine refused'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END;
$$;
CREATE TRIGGER released_once BEFORE UPDATE ON custody_quarantine
    FOR EACH ROW EXECUTE FUNCTION custody_quarantine_released_once_v1();
ALTER TABLE custody_quarantine ENABLE ALWAYS TRIGGER released_once;

-- Of rows that stand already the scrub tells: NOT VALID keeps them from stopping the migration.
ALTER TABLE custody_event ADD CONSTRAINT entry_fits CHECK (octet_length(entry) BETWEEN 1 AND 8192) NOT VALID;
ALTER TABLE custody_entry ADD CONSTRAINT entry_fits CHECK (octet_length(entry) BETWEEN 1 AND 8192) NOT VALID;
ALTER TABLE custody_entry ADD CONSTRAINT leaf_fits CHECK (octet_length(leaf_hash) = 32) NOT VALID;
