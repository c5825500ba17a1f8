//! The checker: reads what the databases hold, with SQL of its own, and says what must not be so.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, PgConnection};

use super::ground::{Ground, Kind, LIGHT, schema};

/// What is asked of each tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    /// Any of the states that a run goes through: whole migrations, or a half one that its record names.
    AnyStep,
    /// Every migration, once.
    All,
}

/// What one schema shows of itself.
#[derive(Debug, Default)]
struct Seen {
    /// The versions that its own log has, in their order.
    log: Vec<i32>,
    /// What the migrations have computed.
    total: Option<i32>,
    /// The versions that light migrations have left, in their order.
    light: Vec<i32>,
    /// Its tables and indexes, by name.
    relations: Vec<String>,
    /// A hash of columns, defaults, indexes and constraints.
    structure: String,
    /// The versions recorded as applied, in the order of the record.
    recorded: Vec<i32>,
    /// What its record says of a migration that is begun and not done.
    begun: Option<Begun>,
    head: Option<Head>,
}

/// How far a migration has come that is no transaction.
#[derive(Debug, Clone, Copy)]
struct Begun {
    version: i32,
    /// How many of its statements are recorded as done.
    done: i32,
    /// Whether the next one is recorded as begun.
    is_open: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Head {
    version: Option<String>,
    digest: Vec<u8>,
    dirty: Option<String>,
}

/// Everything that is wrong, in words; nothing where all is well.
pub(super) async fn check(ground: &Ground, expect: Expect) -> Vec<String> {
    check_by(&mut ground.connect().await, ground, expect).await
}

async fn check_by(connection: &mut PgConnection, ground: &Ground, expect: Expect) -> Vec<String> {
    let mut wrong = everywhere(connection).await;
    let seen = look(connection, ground).await;
    // Whoever is at the same version looks the same.
    let mut alike: BTreeMap<i32, (&String, &String, Option<&Head>)> = BTreeMap::new();
    for (schema, seen) in &seen {
        let at = i32::try_from(seen.recorded.len()).unwrap();
        for error in tenant(seen, at, ground, expect) {
            wrong.push(format!("{schema}: {error}: {seen:?}"));
        }
        if seen.begun.is_some() {
            continue;
        }
        let (first, structure, head) =
            *alike
                .entry(at)
                .or_insert((schema, &seen.structure, seen.head.as_ref()));
        if *structure != seen.structure {
            wrong.push(format!("{schema} is not built as {first} is, both at {at}"));
        }
        if head != seen.head.as_ref() {
            wrong.push(format!(
                "the heads of {schema} and {first} differ, both at {at}"
            ));
        }
    }
    wrong
}

/// What is wrong with one tenant that has `at` migrations recorded.
fn tenant(seen: &Seen, at: i32, ground: &Ground, expect: Expect) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut demand = |so: bool, what: &str| {
        if !so {
            wrong.push(what.to_owned());
        }
    };
    let steps: Vec<i32> = (1..=at).collect();
    demand(
        seen.recorded == steps,
        "not each version is recorded once and in order",
    );
    let head = seen.head.as_ref();
    let version = head.and_then(|head| head.version.clone());
    demand(
        version == (at > 0).then(|| at.to_string()),
        "the head is not where the record ends",
    );
    if expect == Expect::All {
        demand(at == ground.migrations, "migrations are missing");
        demand(seen.begun.is_none(), "something was begun and not ended");
        demand(
            head.is_some_and(|head| head.dirty.is_none()),
            "it is called dirty",
        );
    }
    let next = seen.begun.map_or(0, |begun| begun.version);
    demand(
        next == 0 || next == at + 1 && ground.kind(next) == Kind::Alone,
        "the record names another migration than the next one",
    );
    let expected = Expected::of(ground, at, seen.begun);
    demand(
        seen.log == expected.log && seen.light == expected.light,
        "not each migration has run once",
    );
    demand(seen.total == expected.total, "the total is another one");
    let mut relations = seen.relations.clone();
    if let Some(index) = expected.perhaps {
        relations.retain(|relation| *relation != index);
    }
    demand(
        relations == expected.relations,
        "tables or indexes are missing, or there are too many",
    );
    wrong
}

/// What must hold for the database as a whole.
async fn everywhere(connection: &mut PgConnection) -> Vec<String> {
    // Each row names something that must not be.
    sqlx::query_scalar(
        "select format('the index %s is invalid', i.indexrelid::regclass) from pg_index i
          where not (i.indisvalid and i.indisready and i.indislive)
            and not exists (select from tenantry.history h join pg_class c on c.relnamespace = h.schema_oid
                             where c.oid = i.indexrelid and h.state in ('running', 'failed') and h.is_open)
         union all
         select format('%s is in a foreign place', c.oid::regclass) from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where n.nspname !~ '^(pg_|tenant_[0-9]+$)' and n.nspname not in ('information_schema', 'tenantry', 'chaos')
         union all
         select format('an advisory lock is left: %s %s', l.classid, l.objid) from pg_locks l
          where l.locktype = 'advisory' and l.database = (select oid from pg_database where datname = current_database())
         union all
         select format('session %s is %s', a.pid, a.state) from pg_stat_activity a
          where a.datname = current_database() and (a.application_name = 'tenantry' or a.state like 'idle in transaction%')
         union all
         select format('prepared transaction %s', p.gid) from pg_prepared_xacts p where p.database = current_database()",
    )
    .fetch_all(connection)
    .await
    .unwrap()
}

async fn look(connection: &mut PgConnection, ground: &Ground) -> BTreeMap<String, Seen> {
    let mut all = BTreeMap::new();
    for tenant in 1..=ground.tenants {
        all.insert(schema(tenant), Seen::default());
    }
    let built: Vec<(String, Vec<String>, String)> = sqlx::query_as(BUILT)
        .fetch_all(&mut *connection)
        .await
        .unwrap();
    for (schema, relations, structure) in built {
        if relations.iter().any(|name| name == "log") {
            let content = format!(
                "select array(select version from {schema}.log order by position), (select n from {schema}.total),
                        array(select substring(pg_get_constraintdef(oid) from '[0-9]+')::int - {LIGHT} from pg_constraint
                               where conrelid = '{schema}.log'::regclass and contype = 'c' order by oid)"
            );
            let (log, total, light) = sqlx::query_as(AssertSqlSafe(content))
                .fetch_one(&mut *connection)
                .await
                .unwrap();
            let seen = all.get_mut(&schema).unwrap();
            (seen.log, seen.total, seen.light) = (log, total, light);
        }
        let seen = all.get_mut(&schema).unwrap();
        (seen.relations, seen.structure) = (relations, structure);
    }
    record(connection, &mut all).await;
    all
}

/// What tenantry says of the schemas.
async fn record(connection: &mut PgConnection, all: &mut BTreeMap<String, Seen>) {
    let history: Vec<(String, i32, String, i32, bool)> = sqlx::query_as(
        "select h.schema_name, h.version::int, h.state, h.statements_done, h.is_open from tenantry.history h
           join pg_namespace n on n.oid = h.schema_oid and n.nspname = h.schema_name
          where h.schema_name ~ '^tenant_' order by h.id",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    for (schema, version, state, done, is_open) in history {
        let seen = all.get_mut(&schema).unwrap();
        seen.begun = None;
        match state.as_str() {
            "applied" => seen.recorded.push(version),
            _ => {
                seen.begun = Some(Begun {
                    version,
                    done,
                    is_open,
                });
            }
        }
    }
    type Row = (String, Option<String>, Vec<u8>, Option<String>);
    let heads: Vec<Row> = sqlx::query_as(
        "select schema_name, version, digest, dirty_version from tenantry.heads where schema_name ~ '^tenant_'",
    )
    .fetch_all(connection)
    .await
    .unwrap();
    for (schema, version, digest, dirty) in heads {
        all.get_mut(&schema).unwrap().head = Some(Head {
            version,
            digest,
            dirty,
        });
    }
}

/// The tables and indexes of each tenant, and a hash of how they are built.
const BUILT: &str = r"
    with relations as (
        select n.nspname, c.relname, format('%s %s ', c.relname, c.relkind) || coalesce(
                   (select string_agg(format('%s %s %s %s', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                                             pg_get_expr(d.adbin, d.adrelid)), ', ' order by a.attnum)
                      from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
                     where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '')
               || coalesce((select format(' valid %s: %s', i.indisvalid, pg_get_indexdef(i.indexrelid))
                              from pg_index i where i.indexrelid = c.oid), '')
               || coalesce((select string_agg(k.conname || ' ' || pg_get_constraintdef(k.oid), ', ' order by k.conname)
                              from pg_constraint k where k.conrelid = c.oid), '') as built
          from pg_namespace n join pg_class c on c.relnamespace = n.oid
         where n.nspname ~ '^tenant_[0-9]+$')
    select nspname::text, array_agg(relname::text order by relname),
           md5(string_agg(replace(built, nspname || '.', ''), E'\n' order by relname))
      from relations group by nspname";

/// What a tenant should show of itself.
struct Expected {
    log: Vec<i32>,
    total: Option<i32>,
    light: Vec<i32>,
    relations: Vec<String>,
    /// This one may be there, whole or not, or be absent.
    perhaps: Option<String>,
}

impl Expected {
    /// With `at` migrations recorded, and what is begun of the next one.
    fn of(ground: &Ground, at: i32, begun: Option<Begun>) -> Self {
        let is_light = |version: &i32| ground.kind(*version) == Kind::Light;
        let (light, mut log): (Vec<i32>, Vec<i32>) = (1..=at).partition(is_light);
        let mut total = (at > 0).then(|| log.iter().fold(0, |n, version| add(n, *version)));
        let mut relations = relations(at);
        let mut perhaps = None;
        if let Some(Begun {
            version,
            done,
            is_open,
        }) = begun
        {
            // In the order of its statements: log, table, index, pause, total.
            let index = format!("i{version}");
            if done > 0 {
                log.push(version);
            }
            if done > 1 {
                relations.extend([format!("t{version}"), format!("t{version}_pkey")]);
            }
            match (done, is_open) {
                (2, true) => perhaps = Some(index),
                (3.., _) => relations.push(index),
                _ => {}
            }
            if done > 4 {
                total = total.map(|n| add(n, version));
            }
            relations.sort();
        }
        Self {
            log,
            total,
            light,
            relations,
            perhaps,
        }
    }
}

/// What a migration does to the total.
fn add(n: i32, version: i32) -> i32 {
    (n * 31 + version) % 1_000_003
}

/// What the migrations up to `version` make, by name.
fn relations(version: i32) -> Vec<String> {
    let mut names = Vec::new();
    if version > 0 {
        let first = [
            "log",
            "log_pkey",
            "log_position_seq",
            "things",
            "things_pkey",
            "total",
        ];
        names.extend(first.map(str::to_owned));
    }
    for version in 1..=version {
        names.extend([
            format!("t{version}"),
            format!("t{version}_pkey"),
            format!("i{version}"),
        ]);
    }
    names.sort();
    names
}

#[tokio::test]
async fn the_checker_finds_what_is_wrong() {
    let mut ground = Ground::of(3).await;
    ground.grow();
    ground.grow_light();
    ground.grow();
    assert_eq!(ground.up().end().await.0, 0);
    assert_eq!(check(&ground, Expect::All).await, [""; 0]);
    for (harm, finds) in [
        (
            "alter table tenant_2.log add check (version <> 1000002)",
            "not each migration has run once",
        ),
        (
            "insert into tenant_1.log (version) values (2)",
            "not each migration has run once",
        ),
        (
            "update tenant_1.total set n = (n * 31 + 2) % 1000003",
            "the total is another one",
        ),
        (
            "delete from tenantry.history where schema_name = 'tenant_1' and version = '2'",
            "the head is not where the record ends",
        ),
        (
            "update tenantry.heads set version = '1' where schema_name = 'tenant_1'",
            "the head is not where the record ends",
        ),
        (
            "update tenantry.heads set digest = decode(repeat('07', 32), 'hex') where schema_name = 'tenant_2'",
            "differ, both at 3",
        ),
        (
            "update tenantry.history set state = 'running' where schema_name = 'tenant_1' and version = '3'",
            "begun and not ended",
        ),
        (
            "update pg_index set indisvalid = false where indexrelid = 'tenant_1.i1'::regclass",
            "the index tenant_1.i1 is invalid",
        ),
        ("drop index tenant_3.i2", "tables or indexes are missing"),
        (
            "alter table tenant_3.t1 alter note type varchar(9)",
            "is not built as",
        ),
        (
            "create table public.stray ()",
            "stray is in a foreign place",
        ),
    ] {
        let mut connection = ground.connect().await;
        sqlx::raw_sql(AssertSqlSafe(format!("begin; {harm}")))
            .execute(&mut connection)
            .await
            .unwrap();
        let wrong = check_by(&mut connection, &ground, Expect::All).await;
        sqlx::raw_sql("rollback")
            .execute(&mut connection)
            .await
            .unwrap();
        assert!(
            wrong.iter().any(|wrong| wrong.contains(finds)),
            "{harm}: {wrong:#?}"
        );
    }
}
