-- How text is made findable, for what is stored and for what is asked alike. Folds case, Latin accents, Arabic
-- diacritics and tatweel, hamza and alef forms, ta marbuta, the two yas, Persian kaf and ya, presentation forms,
-- Arabic-Indic digits and the cases of the kunya (Abu, Aba, Abi); drops direction marks.
-- IMMUTABLE, because a stored column and its index are made with it: a change of rules is a new version.
CREATE OR REPLACE FUNCTION evidence_normalised_v1(given text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN regexp_replace(
    btrim(regexp_replace(
        translate(
            lower(regexp_replace(
                normalize(given, NFKD),
                -- combining accents, harakat with hamza above and below, small alef, tatweel, Quranic signs, direction marks
                '[\u0300-\u036F\u0610-\u061A\u064B-\u065F\u0670\u0640\u06D6-\u06ED\u200B-\u200F\u202A-\u202E\u2060-\u2069\uFEFF]',
                '', 'g'
            )),
            -- alef wasla, alef maqsura, Persian ya, ta marbuta, Persian kaf, digits; a hamza on the line (last) is dropped
            U&'\0671\0649\06CC\0629\06A9\0660\0661\0662\0663\0664\0665\0666\0667\0668\0669\06F0\06F1\06F2\06F3\06F4\06F5\06F6\06F7\06F8\06F9\0621',
            U&'\0627\064A\064A\0647\064301234567890123456789'
        ),
        '\s+', ' ', 'g'
    )),
    U&'(^| )\0627\0628[\0627\064A](?= )', U&'\\1\0627\0628\0648', 'g'
);
