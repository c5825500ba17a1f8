-- New schemas that are built from the file of their structure, in place of as many migrations.

alter table tenantry.history drop constraint history_how_check;
-- Not valid: what is there was checked by the old one, and nobody has to wait until it is read again.
alter table tenantry.history add constraint history_how_check
    check (how in ('run', 'baseline', 'force', 'repair', 'structure')) not valid;

-- Closes it, as `leave` closes one migration: all that the structure stands for is recorded, in one statement. None of the
-- migrations' own statements was run.
create procedure tenantry.leave_built(
    p_schema oid, p_name text, p_current name, p_path text, p_versions text[], p_migrations text[], p_ups bytea[],
    p_downs bytea[], p_digest bytea, p_who text
)
language plpgsql as $$
declare
    begun timestamptz := tenantry.assert_inside(p_schema, p_name, p_current);
    left_revision bigint;
    left_fence bigint;
begin
    update tenantry.heads h
       set version = p_versions[pg_catalog.cardinality(p_versions)], digest = p_digest, revision = h.revision + 1,
           -- Whatever it has of the repeatables, they are applied afterwards like everybody's.
           repeatables_digest = '\x0000000000000000000000000000000000000000000000000000000000000000'
     where h.schema_oid = p_schema and h.version is null
    returning h.revision, h.fence into left_revision, left_fence;
    if not found then
        raise exception using errcode = 'TN003', message = 'the head of the schema is gone or has a version, so nothing can be recorded';
    end if;
    insert into tenantry.history (schema_oid, schema_name, version, name, direction, up_checksum, down_checksum, state, how,
                                  revision, fence, who, started_at, finished_at, statements_done)
    select p_schema, p_name, e.version, e.name, 'up', e.up, e.down, 'applied', 'structure', left_revision, left_fence, p_who,
           begun, pg_catalog.clock_timestamp(), 0
      from rows from (pg_catalog.unnest(p_versions), pg_catalog.unnest(p_migrations), pg_catalog.unnest(p_ups),
                      pg_catalog.unnest(p_downs)) with ordinality as e (version, name, up, down, number)
     order by e.number;
end
$$;
