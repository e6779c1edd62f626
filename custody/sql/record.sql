-- One custody event, written in one round trip, in the transaction of the act it is about.
--
-- Returns false, having written nothing, unless `wrapped` is the key that the owner of the values has: the caller
-- seals anew under the key that stands. Only a key that is `fresh` is stored, and only where there is none, so that a
-- destroyed key never comes back.
CREATE FUNCTION custody_record_v1(
    event uuid, event_type text, event_outcome text, done_at timestamptz, agent uuid, compartment uuid, entry_bytes bytea,
    kinds text[], subjects uuid[],
    owner uuid, key bytea, fresh boolean, fields text[], sealed_values bytea[]
) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF fresh THEN
        INSERT INTO custody_subjectkey (subject_id, wrapped) VALUES (owner, key) ON CONFLICT DO NOTHING;
    END IF;
    PERFORM FROM custody_subjectkey WHERE subject_id = owner AND wrapped = key;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO custody_event (id, type, outcome, at, agent_id, compartment_id, entry)
        VALUES (event, event_type, event_outcome, done_at, agent, compartment, entry_bytes);
    INSERT INTO custody_eventsubject (event_id, kind, subject_id, at)
        SELECT event, named.kind, named.subject, done_at FROM unnest(kinds, subjects) AS named (kind, subject);
    INSERT INTO custody_disclosure (event_id, field, subject_id, sealed)
        SELECT event, told.field, owner, told.sealed FROM unnest(fields, sealed_values) AS told (field, sealed);
    INSERT INTO custody_pending (event_id, created_at) VALUES (event, clock_timestamp());
    RETURN true;
END;
$$;

-- A notice takes a lock of the whole server at each commit, and commits then wait for each other's disk. The sequencer
-- looks for itself instead.
DROP TRIGGER pending_notify ON custody_pending;
DROP FUNCTION custody_pending_notify_v1();
