-- The one way in which what the ledger keeps beside its entries goes away: values by their row, keys by their subject.
--
-- It runs as a role that may destroy these rows and owns nothing else (custody/roles.py), and takes nobody's word: two
-- persons must stand in the ledger. Of the erasure named by the caller it demands
--   1. a request, under a signed head, that nobody closed;
--   2. erasure events recorded in this very transaction, and none before, by another agent than the one who asked;
--   3. that each item is named by both, and an announcement by the second and by an event that ties it to such an item;
--   4. that single values are of events about them, and who acted, on what and where stays, sealed anew.
-- Raises otherwise. Returns how many values and how many keys were destroyed.
DO $$
BEGIN
    EXECUTE format($define$
        CREATE FUNCTION custody_erase_v2(
            erasure uuid, disclosures bigint[], subjects uuid[],
            kept_events uuid[], kept_fields text[], kept_sealed bytea[],
            OUT erased_values int, OUT erased_keys int
        )
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = %1$I, pg_temp AS $body$
        DECLARE
            request custody_event;
            items uuid[];
            named uuid[];
            acts uuid[];
            told record;
            now_here numeric := pg_current_xact_id()::text::numeric;
        BEGIN
            SELECT event.* INTO request FROM custody_event AS event
                JOIN custody_eventsubject AS about ON about.event_id = event.id
                JOIN custody_entry AS entry ON entry.event_id = event.id
                WHERE about.kind = 'erasure' AND about.subject_id = erasure
                  AND event.type = 'sanad/erasure-request' AND event.outcome = 'success'
                  AND entry.index < (SELECT max(size) FROM custody_checkpoint);
            IF NOT FOUND THEN
                RAISE EXCEPTION 'nothing is erased: no signed head covers a request for it' USING ERRCODE = 'PE001';
            END IF;
            PERFORM FROM custody_event AS event JOIN custody_eventsubject AS about ON about.event_id = event.id
                WHERE about.kind = 'erasure' AND about.subject_id = erasure AND event.type = 'sanad/erasure-closing';
            IF FOUND THEN
                RAISE EXCEPTION 'nothing is erased: its request was closed' USING ERRCODE = 'PE001';
            END IF;
            FOR told IN
                -- Of a transaction that is under way only one's own rows are seen. The upper half of the number is not
                -- kept in a row: it is that of the present one.
                SELECT event.id, event.agent_id, event.outcome,
                       now_here - mod(now_here, 4294967296) + event.xmin::text::numeric AS written
                FROM custody_event AS event JOIN custody_eventsubject AS about ON about.event_id = event.id
                WHERE about.kind = 'erasure' AND about.subject_id = erasure AND event.type = 'sanad/erasure'
            LOOP
                IF told.written > now_here + 2147483648 THEN
                    told.written := told.written - 4294967296;
                ELSIF told.written < now_here - 2147483648 THEN
                    told.written := told.written + 4294967296;
                END IF;
                IF told.written < now_here
                   OR pg_xact_status(told.written::text::xid8) IS DISTINCT FROM 'in progress' THEN
                    RAISE EXCEPTION 'nothing is erased: this erasure was carried out before' USING ERRCODE = 'PE001';
                END IF;
                IF told.agent_id = request.agent_id OR told.outcome <> 'success' THEN
                    RAISE EXCEPTION 'nothing is erased: it takes two persons' USING ERRCODE = 'PE001';
                END IF;
                acts := acts || told.id;
                named := named || ARRAY(SELECT subject_id FROM custody_eventsubject WHERE event_id = told.id);
            END LOOP;
            IF named IS NULL THEN
                RAISE EXCEPTION 'nothing is erased: no erasure is recorded with it' USING ERRCODE = 'PE001';
            END IF;
            items := ARRAY(SELECT subject_id FROM custody_eventsubject
                WHERE event_id = request.id AND kind = 'item' AND subject_id = ANY(named));
            -- An announcement, whose key goes with the item that came under it: before this act something ties them.
            PERFORM FROM unnest(subjects) AS gone (id) WHERE NOT gone.id = ANY(named) OR (
                NOT gone.id = ANY(items) AND NOT EXISTS (
                    SELECT FROM custody_eventsubject AS own
                        JOIN custody_eventsubject AS tie ON tie.event_id = own.event_id
                        JOIN custody_eventsubject AS other ON (other.kind, other.subject_id) = (tie.kind, tie.subject_id)
                        JOIN custody_eventsubject AS item ON item.event_id = other.event_id
                    WHERE own.subject_id = gone.id AND own.kind = 'intake'
                      AND NOT own.event_id = ANY(acts) AND NOT other.event_id = ANY(acts)
                      AND item.kind = 'item' AND item.subject_id = ANY(items)));
            IF FOUND THEN
                RAISE EXCEPTION 'nothing is erased: not everything of it was asked for' USING ERRCODE = 'PE001';
            END IF;
            PERFORM FROM custody_disclosure AS gone
                WHERE gone.id = ANY(disclosures) AND NOT gone.subject_id = ANY(subjects) AND NOT EXISTS (
                    SELECT FROM custody_eventsubject AS about
                    WHERE about.event_id = gone.event_id AND about.subject_id = ANY(items));
            IF FOUND THEN
                RAISE EXCEPTION 'nothing is erased: a value is of another event' USING ERRCODE = 'PE001';
            END IF;
            PERFORM FROM
                (SELECT event_id, field FROM custody_disclosure
                    WHERE id = ANY(disclosures) AND field = ANY(ARRAY['agent', 'compartment', 'subjects'])) AS gone
                FULL JOIN unnest(kept_events, kept_fields) AS kept (event_id, field) USING (event_id, field)
                WHERE gone.field IS NULL OR kept.field IS NULL;
            IF FOUND OR cardinality(kept_fields) <> cardinality(kept_sealed) THEN
                RAISE EXCEPTION 'nothing is erased: who acted, on what and where stays' USING ERRCODE = 'PE001';
            END IF;

            DELETE FROM custody_disclosure WHERE id = ANY(disclosures);
            GET DIAGNOSTICS erased_values = ROW_COUNT;
            DELETE FROM custody_subjectkey WHERE subject_id = ANY(subjects);
            GET DIAGNOSTICS erased_keys = ROW_COUNT;
            INSERT INTO custody_disclosure (event_id, field, subject_id, sealed)
                SELECT kept.event_id, kept.field, erasure, kept.sealed
                FROM unnest(kept_events, kept_fields, kept_sealed) AS kept (event_id, field, sealed);
        END;
        $body$
    $define$, current_schema());
END;
$$;
DROP FUNCTION custody_erase_v1;
REVOKE ALL ON FUNCTION custody_erase_v2 FROM PUBLIC;
