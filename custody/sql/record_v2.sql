-- One custody event, written in one round trip, in the transaction of the act it is about: the only way in.
--
-- It runs as a role that may add these rows and owns nothing else (custody/roles.py); the web server's role may add none
-- by itself. What SQL can tell of an entry is checked here, its exact form and origin by sequencer and signer.
--
-- Returns false, having written nothing, unless `wrapped` is the key that the owner of the values has: the caller
-- seals anew under the key that stands. Only a key that is `fresh` is stored, and only where there is none, so that a
-- destroyed key never comes back.
DO $$
BEGIN
    EXECUTE format($define$
        CREATE FUNCTION custody_record_v2(
            event uuid, event_type text, event_outcome text, done_at timestamptz, agent uuid, compartment uuid,
            entry_bytes bytea, kinds text[], subjects uuid[],
            owner uuid, key bytea, fresh boolean, fields text[], sealed_values bytea[]
        ) RETURNS boolean
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = %I, pg_temp AS $body$
        DECLARE
            stated jsonb := convert_from(entry_bytes, 'UTF8')::jsonb;
        BEGIN
            IF (stated ->> 'id', stated ->> 'type', stated ->> 'outcome', stated ->> 'ts') IS DISTINCT FROM
               (replace(event::text, '-', ''), event_type, event_outcome,
                to_char(done_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) THEN
                RAISE EXCEPTION 'the entry is not that of its event' USING ERRCODE = 'check_violation';
            END IF;
            IF NOT fields @> ARRAY['agent', 'subjects'] OR cardinality(fields) <> cardinality(sealed_values)
               OR (SELECT array_agg(field ORDER BY field) FROM jsonb_object_keys(stated -> 'c') AS field)
                  IS DISTINCT FROM (SELECT array_agg(field ORDER BY field) FROM unnest(fields) AS field) THEN
                RAISE EXCEPTION 'the values are not those the entry commits to' USING ERRCODE = 'check_violation';
            END IF;
            IF cardinality(kinds) IS DISTINCT FROM cardinality(subjects) OR subjects[1] IS DISTINCT FROM owner THEN
                RAISE EXCEPTION 'an event is about its subjects, the first of which owns its values'
                    USING ERRCODE = 'check_violation';
            END IF;
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
        $body$
    $define$, current_schema());
END;
$$;
DROP FUNCTION custody_record_v1;
REVOKE ALL ON FUNCTION custody_record_v2 FROM PUBLIC;
