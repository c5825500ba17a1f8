), cut as (
    select s.namespace, s.kind, o.prefix, o.literal,
        -- People's own words stay as they are: names, comments, options, the bodies of functions.
        pg_catalog.jsonb_build_array(
            s."table", case when not f.has_types then s.name end, c.comments, s.properties -> 'comment'::text,
            s.properties -> 'foreign options'::text, s.properties -> 'initial state'::text, s.properties -> 'locale'::text,
            s.properties -> 'moving initial state'::text, s.properties -> 'options'::text, s.properties -> 'owned by'::text,
            s.properties -> 'rules'::text, b.body
        )::text as words,
        -- What PostgreSQL writes, and writes with the schema's name.
        case when c.comments is null then w.written else pg_catalog.jsonb_build_array(
            case when f.has_types then s.name end,
            w.rest - array(select k.key from pg_catalog.jsonb_object_keys(c.comments) k (key))
        )::text end as written
    from seen s
    join own o on o.oid = s.namespace
    cross join lateral (
        select s.kind in ('function', 'procedure', 'aggregate') as is_function,
            s.kind in ('function', 'procedure', 'aggregate', 'operator', 'cast') as has_types
    ) f
    cross join lateral (
        select case when f.is_function then s.properties ->> 'definition'::text end as definition
    ) d
    cross join lateral (select pg_catalog.strpos(d.definition, E'\nAS '::text) as starts) a
    cross join lateral (
        select case when a.starts > 0 then pg_catalog.substr(d.definition, a.starts) end as body,
            pg_catalog.substr(d.definition, 1, a.starts - 1) as head
    ) b
    cross join lateral (
        select r.rest, pg_catalog.jsonb_build_array(case when f.has_types then s.name end, r.rest)::text as written
        from (
            select case when b.body is null then s.properties
                else s.properties || pg_catalog.jsonb_build_object('definition', b.head) end
                - array['comment', 'foreign options', 'initial state', 'locale', 'moving initial state', 'options', 'owned by',
                        'rules'] as rest
            -- OFFSET 0, here and below: else each would be worked out anew wherever it is used.
            offset 0
        ) r
        offset 0
    ) w
    -- Comments on parts of an object.
    cross join lateral (
        select case when pg_catalog.strpos(w.written, '"comment'::text) > 0 then (
            select pg_catalog.jsonb_object_agg(e.key, e.value)
            from pg_catalog.jsonb_each(w.rest) e
            where pg_catalog.starts_with(e.key, 'comment'::text)
        ) end as comments
        offset 0
    ) c
    offset 0
), marked as (
    -- A function that sets the path to its own schema does the same in every schema. After the marker comes no name.
    select c.namespace, c.kind, c.words, c.written, c.prefix,
        pg_catalog.replace(
            case when p.path is null then c.written else pg_catalog.replace(
                c.written, p.path,
                pg_catalog.replace(
                    ', '::text || p.path || ','::text, ', '::text || c.literal || ','::text, E', \x01,'::text)) end,
            c.prefix, E'\x01'::text) as text
    from cut c
    cross join lateral (
        select case when c.kind in ('function', 'procedure')
            then pg_catalog.substring(c.written, '\\n SET search_path TO ((?:[^\\"]|\\[^n])*)'::text) end as path
    ) p
    offset 0
)
select m.namespace, m.kind, pg_catalog.count(*) as objects,
    pg_catalog.sha256(pg_catalog.string_agg(h.hash, ''::bytea order by h.hash)) as hash
from marked m
cross join lateral (
    select pg_catalog.sha256(pg_catalog.convert_to(
        m.words || case
            when m.text = m.written then m.written
            -- The marker stands for the schema where PostgreSQL has put it: not at the end of a longer name, not in a quoted
            -- name, in no text in quotes but the name of an object. Wherever that is not certain, the text stays as it is.
            when m.text !~ '[A-Za-z0-9_$.\u0080-\uffff]\u0001'::text and (
                pg_catalog.strpos(m.text, ''''::text) = 0 and pg_catalog.strpos(m.text, '\"'::text) = 0
                or m.text ~ '^(?:[^''"\\]|\\[^"]|"|\\"[^"\u0001]*"|''[^''\u0001]*''|''\u0001[^''\u0001]*''::reg)*$'::text
            ) then m.text
            else E'\x02'::text || m.prefix || m.written
        end, 'UTF8'::name)) as hash
) h
group by m.namespace, m.kind
