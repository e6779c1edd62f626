-- As in custody/sql/search_path.sql: no temporary table stands before one of ours.
DO $$
DECLARE
    ours text;
BEGIN
    FOR ours IN SELECT oid::regprocedure::text FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace AND starts_with(proname, 'witnesses_') AND proconfig IS NULL
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', ours, current_schema());
    END LOOP;
END;
$$;
