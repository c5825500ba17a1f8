-- Constraints of the schemas' tables. Left out: NOT NULL, which is told with its column; constraint triggers, which are
-- told as triggers; and the rows that PostgreSQL adds to a foreign key for each partition of the table it references.
select
    c.relnamespace as namespace,
    'constraint' as kind,
    c.relname as "table",
    k.conname as name,
    pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
        'definition', pg_catalog.regexp_replace(pg_catalog.pg_get_constraintdef(k.oid), ' NOT VALID$'::text, ''::text),
        'validated', case when k.convalidated then 'yes' else 'no' end,
        -- As for columns, but a check is left so as well where the parent's went with a column.
        'inherited', case when not k.conislocal and not c.relispartition and exists (
            select from pg_catalog.pg_inherits i
            join pg_catalog.pg_constraint above on above.conrelid = i.inhparent and above.conname = k.conname
            where i.inhrelid = c.oid and above.contype = 'c' and not above.connoinherit
        ) then 'yes' end,
        'triggers', case when exists (
            select from pg_catalog.pg_trigger g where g.tgconstraint = k.oid and g.tgisinternal and g.tgenabled <> 'O'
        ) then 'not all enabled' end,
        'comment', pg_catalog.obj_description(k.oid, 'pg_constraint'::name)
    )) as properties
from pg_catalog.pg_constraint k
join pg_catalog.pg_class c on c.oid = k.conrelid
left join pg_catalog.pg_constraint parent on parent.oid = k.conparentid
where c.relnamespace = any ($1)
    and k.contype in ('c', 'f', 'p', 'u', 'x')
    and parent.conrelid is distinct from k.conrelid
    and not exists (
        select from pg_catalog.pg_depend d
        where d.classid = 'pg_class'::regclass::oid and d.objid = c.oid and d.deptype = 'e'
    )
