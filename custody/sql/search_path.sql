-- A function that looks a name up where its caller tells it to can be shown a temporary table of that name instead.
-- Every function of the ledger looks in its own schema first and among temporary tables last.
DO $$
DECLARE
    ours text;
BEGIN
    FOR ours IN SELECT oid::regprocedure::text FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace AND starts_with(proname, 'custody_') AND proconfig IS NULL
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', ours, current_schema());
    END LOOP;
END;
$$;
