-- What is over and is to be taken back is under way, too: there is no other one beside it.

-- Until now two could be: the wish is forgotten where that is so.
update tenantry.rollouts r set wanted = 'cancel'
 where state in ('complete', 'cancelled') and wanted = 'back' and not back
   and exists (select from tenantry.rollouts o
                where o.id <> r.id
                  and (o.state not in ('complete', 'cancelled') or (o.wanted = 'back' and not o.back and o.id > r.id)));
drop index tenantry.one_active_rollout;
create unique index one_active_rollout on tenantry.rollouts ((true))
    where state not in ('complete', 'cancelled') or (wanted = 'back' and not back);

-- The rollout that a daemon cannot carry forth, as it was started with other migrations than the daemon has.
alter table tenantry.daemons add column foreign_to bigint;
