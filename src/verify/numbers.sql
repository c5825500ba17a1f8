-- The sequences of the schema $1, and the last number that each gave out.
select
    c.relname::text as name,
    c.oid::int8 as oid,
    (
        select t.relname::text
        from pg_catalog.pg_depend o
        join pg_catalog.pg_class t on t.oid = o.refobjid
        where o.classid = 'pg_class'::regclass::oid and o.objid = c.oid and o.objsubid = 0
            and o.refclassid = 'pg_class'::regclass::oid and o.deptype in ('a', 'i')
    ) as owner,
    s.seqstart as start,
    s.seqincrement as increment,
    pg_catalog.pg_sequence_last_value(c.oid::regclass) as last
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_sequence s on s.seqrelid = c.oid
where n.nspname = $1::name
