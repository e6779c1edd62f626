-- What a witness said, and who a witness is, is written once: a change is a new revision.
-- Erasure deletes rows together with their key; nothing rewrites them.
CREATE OR REPLACE FUNCTION witnesses_insert_only_v1() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'revisions are never rewritten: % on % refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END;
$$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['witnesses_testimonyrevision', 'witnesses_identityrevision']
    LOOP
        EXECUTE format('CREATE TRIGGER insert_only_rows BEFORE UPDATE ON %I
                        FOR EACH ROW EXECUTE FUNCTION witnesses_insert_only_v1()', name);
        EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER insert_only_rows', name);
    END LOOP;
END;
$$;
