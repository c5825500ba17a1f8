-- What the schema $1 may have of kinds that many schemas have nothing of, named as the queries are: where there is nothing, the
-- query for it is not asked. Says yes rather once too often.
select k.what, k.is_there
from (
    values
        ('extensions', exists (select from pg_catalog.pg_extension e where e.extnamespace = $1)),
        ('collations', exists (select from pg_catalog.pg_collation c where c.collnamespace = $1)),
        ('sequences', exists (select from pg_catalog.pg_class c where c.relnamespace = $1 and c.relkind = 'S')),
        ('views', exists (select from pg_catalog.pg_class c where c.relnamespace = $1 and c.relkind in ('v', 'm'))),
        ('statistics', exists (select from pg_catalog.pg_statistic_ext s where s.stxnamespace = $1)),
        ('functions', exists (select from pg_catalog.pg_proc p where p.pronamespace = $1)),
        ('operators', exists (select from pg_catalog.pg_operator o where o.oprnamespace = $1)),
        ('operator families', exists (select from pg_catalog.pg_opfamily f where f.opfnamespace = $1)),
        ('operator classes', exists (select from pg_catalog.pg_opclass c where c.opcnamespace = $1)),
        -- Those that PostgreSQL comes with have lower numbers.
        ('casts', exists (select from pg_catalog.pg_cast k where k.oid >= 16384::oid)),
        ('triggers', exists (select from pg_catalog.pg_class c where c.relnamespace = $1 and c.relhastriggers)),
        (
            'rules',
            exists (
                select from pg_catalog.pg_class c
                join pg_catalog.pg_rewrite r on r.ev_class = c.oid and r.rulename <> '_RETURN'::name
                where c.relnamespace = $1
            )
        ),
        (
            'policies',
            exists (
                select from pg_catalog.pg_class c
                join pg_catalog.pg_policy p on p.polrelid = c.oid
                where c.relnamespace = $1
            )
        ),
        (
            'text search',
            exists (select from pg_catalog.pg_ts_dict d where d.dictnamespace = $1)
                or exists (select from pg_catalog.pg_ts_config c where c.cfgnamespace = $1)
        ),
        ('conversions', exists (select from pg_catalog.pg_conversion c where c.connamespace = $1))
) k (what, is_there)
