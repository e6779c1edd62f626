-- Recorded custody is insert-only, for every role that is not replacing the schema itself.
-- ALWAYS: the triggers also fire for replication roles. They stop bugs and injected SQL;
-- whoever owns the tables is caught by the signed checkpoints instead.
CREATE OR REPLACE FUNCTION custody_append_only_v1() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'custody is append-only: % on % refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END;
$$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['custody_event', 'custody_eventsubject', 'custody_entry', 'custody_checkpoint']
    LOOP
        EXECUTE format('CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON %I
                        FOR EACH ROW EXECUTE FUNCTION custody_append_only_v1()', name);
        EXECUTE format('CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION custody_append_only_v1()', name);
        EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER append_only_rows', name);
        EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER append_only_truncate', name);
    END LOOP;
    -- Opened values may be erased by crypto-shredding, never rewritten. Tiles grow, and none goes away.
    EXECUTE 'CREATE TRIGGER append_only_rows BEFORE UPDATE ON custody_disclosure
             FOR EACH ROW EXECUTE FUNCTION custody_append_only_v1()';
    EXECUTE 'CREATE TRIGGER append_only_rows BEFORE DELETE ON custody_tile
             FOR EACH ROW EXECUTE FUNCTION custody_append_only_v1()';
    FOREACH name IN ARRAY ARRAY['custody_disclosure', 'custody_tile']
    LOOP
        EXECUTE format('CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION custody_append_only_v1()', name);
        EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER append_only_rows', name);
        EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER append_only_truncate', name);
    END LOOP;
END;
$$;

-- The sequencer sleeps on this channel; the notice leaves with the commit.
CREATE OR REPLACE FUNCTION custody_pending_notify_v1() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NOTIFY custody_pending;
    RETURN NULL;
END;
$$;
CREATE TRIGGER pending_notify AFTER INSERT ON custody_pending
    FOR EACH STATEMENT EXECUTE FUNCTION custody_pending_notify_v1();
