-- What append_only.sql began, for every table of the ledger and for those to come. A migration that makes a table of
-- custody calls  SELECT custody_guard_v1('custody_name', 'UPDATE OR DELETE')  with what is refused row by row;
-- TRUNCATE is refused always. ENABLE ALWAYS: session_replication_role does not switch it off.
CREATE FUNCTION custody_guard_v1(guarded regclass, refused text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DROP TRIGGER IF EXISTS append_only_rows ON %s', guarded);
    EXECUTE format('DROP TRIGGER IF EXISTS append_only_truncate ON %s', guarded);
    EXECUTE format('CREATE TRIGGER append_only_rows BEFORE %s ON %s
                    FOR EACH ROW EXECUTE FUNCTION custody_append_only_v1()', refused, guarded);
    EXECUTE format('CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON %s
                    FOR EACH STATEMENT EXECUTE FUNCTION custody_append_only_v1()', guarded);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER append_only_rows', guarded);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER append_only_truncate', guarded);
END;
$$;

SELECT custody_guard_v1('custody_event', 'UPDATE OR DELETE');
SELECT custody_guard_v1('custody_eventsubject', 'UPDATE OR DELETE');
SELECT custody_guard_v1('custody_entry', 'UPDATE OR DELETE');
SELECT custody_guard_v1('custody_checkpoint', 'UPDATE OR DELETE');
-- Values and keys may be destroyed, never rewritten. Pending rows go once their event has its place; tiles only grow.
SELECT custody_guard_v1('custody_disclosure', 'UPDATE');
SELECT custody_guard_v1('custody_subjectkey', 'UPDATE');
SELECT custody_guard_v1('custody_pending', 'UPDATE');
SELECT custody_guard_v1('custody_tile', 'DELETE');

CREATE FUNCTION custody_tile_grows_v1() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.level <> OLD.level OR NEW.index <> OLD.index
        OR substr(NEW.hashes, 1, length(OLD.hashes)) <> OLD.hashes THEN
        RAISE EXCEPTION 'custody is append-only: tile %/% was to lose hashes', OLD.level, OLD.index
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END;
$$;
CREATE TRIGGER tile_grows BEFORE UPDATE ON custody_tile
    FOR EACH ROW EXECUTE FUNCTION custody_tile_grows_v1();
ALTER TABLE custody_tile ENABLE ALWAYS TRIGGER tile_grows;

CREATE FUNCTION custody_pending_placed_v1() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    lost uuid;
BEGIN
    SELECT gone.event_id INTO lost FROM gone
        WHERE NOT EXISTS (SELECT FROM custody_entry WHERE custody_entry.event_id = gone.event_id) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'custody is append-only: event % has no place in the ledger yet and stays pending', lost
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END;
$$;
CREATE TRIGGER pending_placed AFTER DELETE ON custody_pending
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION custody_pending_placed_v1();
ALTER TABLE custody_pending ENABLE ALWAYS TRIGGER pending_placed;
