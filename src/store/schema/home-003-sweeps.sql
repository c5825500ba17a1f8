-- Work over the whole fleet that one daemon at a time does for all of them: one row a kind of work, made when it is first begun.
create table tenantry.sweeps (
    name       text primary key,
    -- Raised by every claim: whoever has an older one has lost it.
    token      bigint not null check (token > 0),
    -- Whose it is, for people, and until when the others leave it to him; none while nobody is at it.
    holder     text,
    held_until timestamptz,
    -- When it was last done to its end.
    done_at    timestamptz,
    constraint a_holder_has_an_end check ((holder is null) = (held_until is null))
);
