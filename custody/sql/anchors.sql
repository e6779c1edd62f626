-- A cosignature is insert-only. How the talk with a partner goes is no evidence: it is overwritten, and never taken away.
SELECT custody_guard_v1('custody_cosignature', 'UPDATE OR DELETE');
SELECT custody_guard_v1('custody_correspondence', 'DELETE');
SELECT custody_guard_v1('custody_anchor', 'DELETE');

-- An anchor waits in the queue without a response; it gets one, once, and nothing else of it ever changes.
CREATE FUNCTION custody_anchor_stamped_once_v1() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.response IS NOT NULL
       OR (NEW.id, NEW.authority, NEW.checkpoint_id, NEW.imprint, NEW.queued_at, NEW.test)
          IS DISTINCT FROM (OLD.id, OLD.authority, OLD.checkpoint_id, OLD.imprint, OLD.queued_at, OLD.test) THEN
        RAISE EXCEPTION 'custody is append-only: UPDATE on custody_anchor refused'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END;
$$;
CREATE TRIGGER stamped_once BEFORE UPDATE ON custody_anchor
    FOR EACH ROW EXECUTE FUNCTION custody_anchor_stamped_once_v1();
ALTER TABLE custody_anchor ENABLE ALWAYS TRIGGER stamped_once;
