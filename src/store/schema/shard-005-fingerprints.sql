-- Runs one query over the catalog for many schemas, and waits for none of them.

-- Runs `p_query`, which takes an array of the OIDs of schemas and gives `namespace`, `kind`, `objects` and `hash`. A schema
-- on which somebody holds a lock that the query would wait for is left out, and so is one that changes all the time: it comes
-- back with nothing but the reason. Where `p_locks` is given, the query keeps locks on tables and views to its end: then so
-- many schemas are asked for at once as have that many of them together, and the locks are let go of in between.
create function tenantry.fingerprints(p_query text, p_schemas oid[], p_locks bigint)
returns table (namespace oid, kind text, objects bigint, hash text, reason text)
language plpgsql volatile as $$
#variable_conflict use_column
declare
    batch oid[];
    free oid[];
    piece jsonb;
    why text;
begin
    for batch in
        select pg_catalog.array_agg(w.schema order by w.place)
          from (select s.schema, s.place, coalesce(pg_catalog.sum(coalesce(c.relations, 0)) over (order by s.place) / p_locks, 0)::bigint as number
                  from pg_catalog.unnest(p_schemas) with ordinality s (schema, place)
                  left join (select c.relnamespace, pg_catalog.count(*) as relations from pg_catalog.pg_class c
                              where p_locks is not null and c.relkind in ('r', 'p', 'v', 'm', 'f')
                              group by c.relnamespace) c on c.relnamespace = s.schema) w
         group by w.number order by w.number
    loop
        free := batch;
        why := null;
        for try in 1 .. 3 loop
            -- Whoever holds it, or waits for it, is in the way of those who come after him.
            free := array(select f from pg_catalog.unnest(free) f
                           where not exists (select from pg_catalog.pg_locks l
                                               join pg_catalog.pg_class c on c.oid = l.relation
                                              where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock'
                                                and l.pid is distinct from pg_catalog.pg_backend_pid()
                                                and l.database = (select d.oid from pg_catalog.pg_database d
                                                                   where d.datname = pg_catalog.current_database())
                                                and c.relnamespace = f));
            piece := null;
            begin
                execute 'select pg_catalog.jsonb_agg(pg_catalog.to_jsonb(x)) from (' || p_query || ') x' into piece using free;
                -- The way to let go of locks before the end of the transaction. What was assigned stays.
                raise exception using errcode = 'TN000', message = 'looked at';
            exception
                when sqlstate 'TN000' then
                    why := null;
                    exit;
                -- Something is locked that was not; or was dropped while it was looked at.
                when lock_not_available or internal_error or undefined_table or undefined_object or undefined_function
                        or invalid_schema_name then
                    why := sqlerrm;
            end;
        end loop;
        if why is null then
            return query select r.namespace, r.kind, r.objects, r.hash, null::text
                           from pg_catalog.jsonb_to_recordset(piece) r (namespace oid, kind text, objects bigint, hash text);
            return query select b, null::text, null::bigint, null::text, 'it is locked'::text from pg_catalog.unnest(batch) b
                          where b <> all (free);
        else
            return query select b, null::text, null::bigint, null::text, why from pg_catalog.unnest(batch) b;
        end if;
    end loop;
end
$$;
