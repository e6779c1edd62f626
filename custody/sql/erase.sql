-- The one way in which what the ledger keeps beside its entries goes away: values by their row, keys by their subject.
-- It runs as the owner of the tables, because no other role may delete there; who may call it is in custody/roles.py.
-- Returns how many values and how many keys were destroyed.
DO $$
BEGIN
    EXECUTE format($define$
        CREATE FUNCTION custody_erase_v1(disclosures bigint[], subjects uuid[], OUT erased_values int, OUT erased_keys int)
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = %I, pg_temp AS $body$
        BEGIN
            DELETE FROM custody_disclosure WHERE id = ANY(disclosures);
            GET DIAGNOSTICS erased_values = ROW_COUNT;
            DELETE FROM custody_subjectkey WHERE subject_id = ANY(subjects);
            GET DIAGNOSTICS erased_keys = ROW_COUNT;
        END;
        $body$
    $define$, current_schema());
END;
$$;
REVOKE ALL ON FUNCTION custody_erase_v1(bigint[], uuid[]) FROM PUBLIC;
