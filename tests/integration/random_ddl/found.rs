//! What random structures have found, each as small as it gets.

use super::case::Ground;

/// Each of the structures is restored from what is written of it.
async fn restored(structures: &[&str]) {
    let mut ground = Ground::new().await;
    for statements in structures {
        let done = ground.made_by(statements).await;
        assert_eq!(done, Ok(()));
    }
}

#[tokio::test]
async fn the_index_of_a_key_keeps_its_settings() {
    restored(&[
        "CREATE TABLE a (b int, c int, UNIQUE (b) INCLUDE (c) WITH (fillfactor = 70) DEFERRABLE)",
        "CREATE TABLE a (b int PRIMARY KEY WITH (fillfactor = 70)) PARTITION BY HASH (b)",
        "CREATE TABLE a (b int4range, EXCLUDE USING gist (b WITH &&) WITH (fillfactor = 70))",
    ])
    .await;
}

#[tokio::test]
async fn a_partition_brings_the_index_that_was_attached() {
    restored(&["CREATE TABLE a (b int) PARTITION BY LIST (b);
         CREATE TABLE c PARTITION OF a FOR VALUES IN (1);
         CREATE INDEX whole ON ONLY a (b);
         CREATE INDEX one ON c (b);
         CREATE INDEX two ON c (b);
         ALTER INDEX whole ATTACH PARTITION two;
         COMMENT ON INDEX two IS 'of the whole'"])
    .await;
}

#[tokio::test]
async fn the_index_of_a_partitioned_table_may_lack_parts() {
    restored(&["CREATE TABLE a (b int) PARTITION BY LIST (b);
         CREATE TABLE c PARTITION OF a FOR VALUES IN (1);
         CREATE INDEX whole ON ONLY a (b)"])
    .await;
}

#[tokio::test]
async fn a_partition_may_turn_off_what_comes_from_its_parent() {
    restored(&[
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TABLE z (b int) PARTITION BY LIST (b);
         CREATE TRIGGER t AFTER INSERT ON z FOR EACH ROW EXECUTE FUNCTION f();
         CREATE TRIGGER s AFTER INSERT ON z EXECUTE FUNCTION f();
         CREATE TABLE c PARTITION OF z FOR VALUES IN (1);
         CREATE TABLE d PARTITION OF z FOR VALUES IN (2);
         CREATE TRIGGER s AFTER INSERT ON c FOR EACH ROW EXECUTE FUNCTION f();
         ALTER TABLE ONLY c DISABLE TRIGGER t;
         ALTER TABLE ONLY z ENABLE ALWAYS TRIGGER t",
    ])
    .await;
}

#[tokio::test]
async fn a_partition_keeps_its_own_storage_and_the_names_of_its_references() {
    restored(&["CREATE TABLE k (id int PRIMARY KEY);
         CREATE TABLE z (b int, c text) PARTITION BY LIST (b);
         CREATE TABLE a (c text, b int, CONSTRAINT of_a FOREIGN KEY (b) REFERENCES k);
         ALTER TABLE z ADD CONSTRAINT of_z FOREIGN KEY (b) REFERENCES k;
         ALTER TABLE z ATTACH PARTITION a FOR VALUES IN (1);
         ALTER TABLE ONLY z ALTER c SET STORAGE EXTERNAL;
         ALTER TABLE a ALTER c SET STORAGE MAIN"])
    .await;
}

#[tokio::test]
async fn names_may_hold_what_separates_names() {
    restored(&[
        "CREATE FUNCTION \"par(en\"(int) RETURNS int LANGUAGE sql RETURN 1;
         COMMENT ON FUNCTION \"par(en\" IS 'odd';
         CREATE FUNCTION \"f(integer)\"(int, int) RETURNS int LANGUAGE sql IMMUTABLE RETURN 1;
         CREATE AGGREGATE \"of(\"(int) (SFUNC = \"f(integer)\", STYPE = int);
         COMMENT ON AGGREGATE \"of(\"(int) IS 'odd'",
        "CREATE TABLE \"dot.ted\" (\"a.b\" serial, \"c.d\" int GENERATED ALWAYS AS IDENTITY (START 7))",
        "CREATE TABLE \"a, b\" (c int); CREATE TABLE d () INHERITS (\"a, b\")",
    ])
    .await;
}

#[tokio::test]
async fn a_function_may_be_called_as_the_schema_is() {
    // The schema's name is that of `Ground::made_by`.
    restored(&["CREATE FUNCTION \"found.x\"(int) RETURNS int LANGUAGE sql RETURN 1; COMMENT ON FUNCTION \"found.x\" IS 'x'"]).await;
}

#[tokio::test]
async fn names_that_postgresql_has_too_mean_what_they_meant() {
    restored(&[
        "CREATE TABLE point (x int); CREATE TABLE a (b point, c pg_catalog.point, d point[])",
        "CREATE TYPE path AS ENUM ('left'); COMMENT ON TYPE path IS 'ours'; CREATE TABLE a (b path DEFAULT 'left')",
        "CREATE DOMAIN text AS pg_catalog.text; ALTER DOMAIN text ADD CONSTRAINT c CHECK (VALUE <> '') NOT VALID;
         CREATE TABLE a (b text, c pg_catalog.text)",
        "CREATE FUNCTION lower(text) RETURNS text LANGUAGE sql IMMUTABLE SET work_mem = '1MB' AS 'SELECT $1 || '' 100 %''';
         COMMENT ON FUNCTION lower(text) IS 'ours';
         CREATE TABLE a (b text, c text GENERATED ALWAYS AS (lower(b)) STORED, d text GENERATED ALWAYS AS (pg_catalog.lower(b)) STORED);
         CREATE INDEX i ON a (lower(b)); CREATE VIEW v AS SELECT lower(b), pg_catalog.lower(c) AS l FROM a",
        "CREATE TYPE path AS ENUM ('left');
         CREATE VIEW v AS SELECT r.a FROM json_to_recordset('[]') AS r(a path, \"b c\" path[])",
    ])
    .await;
}

#[tokio::test]
async fn a_list_of_constants_is_written_as_it_was_read() {
    restored(&[
        "CREATE TABLE a (b varchar(20) CHECK (b IN ('new', 'it''s, ]paid')), n numeric CHECK (n NOT IN (1, 2)));
         CREATE INDEX i ON a (b) WHERE b IN ('x', 'y');
         CREATE VIEW v AS SELECT * FROM a WHERE b NOT IN ('x', 'y');
         CREATE POLICY p ON a USING (b IN ('x', 'y'));
         CREATE RULE r AS ON DELETE TO a WHERE old.b IN ('x', 'y') DO INSTEAD NOTHING",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TABLE a (b varchar);
         CREATE TRIGGER t AFTER INSERT ON a FOR EACH ROW WHEN (new.b IN ('x', 'y')) EXECUTE FUNCTION f()",
        "CREATE VIEW v (a, b) AS VALUES (1, 'x'), (2, 'y')",
        "CREATE TABLE a (b text[] DEFAULT ARRAY[]::text[])",
    ])
    .await;
}

#[tokio::test]
async fn a_table_may_need_a_function_that_needs_the_table() {
    restored(&[
        "CREATE TABLE a (b int);
         CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT count(*)::int FROM a; END;
         ALTER TABLE a ALTER b SET DEFAULT f()",
        "CREATE DOMAIN d AS int;
         CREATE FUNCTION f(d) RETURNS boolean LANGUAGE sql AS 'SELECT true';
         ALTER DOMAIN d ADD CHECK (f(VALUE))",
    ])
    .await;
}

#[tokio::test]
async fn what_a_function_sets_keeps_its_order() {
    restored(&["CREATE FUNCTION f() RETURNS int LANGUAGE sql SET work_mem = '1MB' SET search_path FROM CURRENT \
         SET enable_sort = off RETURN 1"])
    .await;
}

#[tokio::test]
async fn a_domain_may_have_what_was_never_checked() {
    restored(&["CREATE DOMAIN d AS int CONSTRAINT a CHECK (VALUE > 0);
         ALTER DOMAIN d ADD CONSTRAINT \"b c\" CHECK (VALUE < 9) NOT VALID"])
    .await;
}

#[tokio::test]
async fn a_check_and_an_index_may_have_one_name() {
    restored(&["CREATE TABLE a (b int CONSTRAINT same CHECK (b > 0)); CREATE INDEX same ON a (b)"])
        .await;
}

#[tokio::test]
async fn a_child_may_hold_less_than_its_parent() {
    restored(&["CREATE TABLE a (b int NOT NULL); CREATE TABLE c () INHERITS (a); CREATE TABLE d () INHERITS (c);
         ALTER TABLE ONLY c ALTER b DROP NOT NULL"])
    .await;
}

#[tokio::test]
async fn the_sequence_of_an_identity_may_be_of_another_type() {
    restored(&["CREATE TABLE a (b smallint GENERATED ALWAYS AS IDENTITY); CREATE TABLE c (LIKE a INCLUDING ALL)"]).await;
}

#[tokio::test]
async fn settings_of_what_is_stored_apart_are_kept_and_end_with_it() {
    restored(&[
        "CREATE MATERIALIZED VIEW v WITH (toast.autovacuum_enabled = off) AS SELECT 'x'::text AS a",
        "CREATE TABLE a (b int, c text) WITH (toast.autovacuum_enabled = off); ALTER TABLE a DROP c",
        "CREATE MATERIALIZED VIEW v AS SELECT 'x'::text AS a; ALTER MATERIALIZED VIEW v ALTER a SET COMPRESSION pglz",
    ])
    .await;
}

#[tokio::test]
async fn ranges_keep_what_they_were_made_with() {
    restored(&["CREATE TYPE r AS RANGE (SUBTYPE = text, SUBTYPE_OPCLASS = text_pattern_ops, COLLATION = \"C\", \
         MULTIRANGE_TYPE_NAME = \"many of them\")"])
    .await;
}

#[tokio::test]
async fn a_partition_that_has_to_wait_comes_before_the_keys_of_its_parent() {
    restored(&[
        "CREATE TABLE z (x int); CREATE TABLE w (b int UNIQUE, c z) PARTITION BY LIST (b);
         CREATE TABLE a PARTITION OF w FOR VALUES IN (1)",
    ])
    .await;
}

#[tokio::test]
async fn what_a_child_has_from_its_parents_alone_comes_from_them_again() {
    restored(&[
        "CREATE TABLE a (b int NOT NULL, c text DEFAULT 'x' CHECK (c <> '')); CREATE TABLE d (e int, c text CHECK (c <> ' ')) INHERITS (a);
         CREATE TABLE f () INHERITS (d)",
        // In another order than the parents' own.
        "CREATE TABLE a (b int); CREATE TABLE c (d int DEFAULT 7, e serial) INHERITS (a); ALTER TABLE a ADD f text DEFAULT lower('X') NOT NULL;
         CREATE TABLE inherited_columns (x int)",
        "CREATE TABLE a (b int, c int); CREATE TABLE d (c int, b int, e int GENERATED ALWAYS AS IDENTITY);
         ALTER TABLE d INHERIT a; ALTER TABLE a ADD f int, ADD CONSTRAINT k CHECK (f > 0) NOT VALID; ALTER TABLE d VALIDATE CONSTRAINT k",
        // Otherwise than the parent has it.
        "CREATE TABLE a (b int DEFAULT 1, c int DEFAULT 2, d int, e text); CREATE TABLE f () INHERITS (a);
         ALTER TABLE f ALTER b DROP DEFAULT, ALTER c SET DEFAULT 3, ALTER d SET NOT NULL, ALTER e SET COMPRESSION pglz;
         ALTER TABLE f ALTER d ADD GENERATED ALWAYS AS IDENTITY (START 7)",
        "CREATE TABLE a (b int DEFAULT 1, x int); CREATE TABLE c (b int DEFAULT 1, y int); CREATE TABLE d () INHERITS (a, c);
         ALTER TABLE ONLY a ALTER b SET DEFAULT 2",
        "CREATE TABLE a (b int, c int GENERATED ALWAYS AS (b + 1) STORED); CREATE TABLE d (b int) INHERITS (a)",
        // Checks alone, and none that are handed down.
        "CREATE TABLE a (b int); CREATE TABLE c (b int); ALTER TABLE c INHERIT a; ALTER TABLE a ADD CHECK (b > 0);
         ALTER TABLE a ADD CONSTRAINT n CHECK (b > 1) NO INHERIT; ALTER TABLE c ADD CONSTRAINT n CHECK (b > 2)",
        // Gone its own way, in part.
        "CREATE TABLE a (b int, c int); CREATE TABLE d () INHERITS (a); ALTER TABLE ONLY a DROP c; CREATE TABLE e () INHERITS (d); ALTER TABLE e NO INHERIT d",
        "CREATE TABLE a (b int CHECK (b > 0), c int); CREATE TABLE d () INHERITS (a); ALTER TABLE ONLY a DROP b CASCADE",
        "CREATE TABLE a (b int); CREATE TABLE c (d int) INHERITS (a); CREATE TABLE e () INHERITS (c);
         ALTER TABLE a ADD f text DEFAULT 'x'; ALTER TABLE c ALTER b SET NOT NULL",
        "CREATE TABLE a (b int);
         CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT count(*)::int FROM a; END;
         CREATE TABLE c () INHERITS (a); ALTER TABLE a ALTER b SET DEFAULT f()",
    ])
    .await;
}

#[tokio::test]
async fn operators_and_the_like_that_postgresql_has_too_mean_what_they_meant() {
    restored(&[
        "CREATE FUNCTION same(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN $1 OPERATOR(pg_catalog.=) $2;
         CREATE OPERATOR = (FUNCTION = same, LEFTARG = int, RIGHTARG = int, COMMUTATOR = OPERATOR(found.=), NEGATOR = OPERATOR(found.<>));
         CREATE FUNCTION other(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN $1 OPERATOR(pg_catalog.<>) $2;
         CREATE OPERATOR <> (FUNCTION = other, LEFTARG = int, RIGHTARG = int, NEGATOR = OPERATOR(found.=));
         COMMENT ON OPERATOR found.= (int, int) IS 'ours';
         CREATE TABLE a (b int CHECK (b OPERATOR(found.=) 1), c int CHECK (c = 2), d boolean GENERATED ALWAYS AS (b OPERATOR(found.<>) c) STORED);
         CREATE VIEW v AS SELECT b = c AS theirs, b OPERATOR(found.=) c AS ours, b OPERATOR(found.=) ANY (ARRAY[1, 2]) AS any FROM a;
         CREATE INDEX i ON a (b) WHERE b OPERATOR(found.=) 1",
        "CREATE TYPE t AS (a int);
         CREATE FUNCTION less(t, t) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN false;
         CREATE OPERATOR < (FUNCTION = less, LEFTARG = t, RIGHTARG = t);
         CREATE FUNCTION compared(t, t) RETURNS int LANGUAGE sql IMMUTABLE RETURN 0;
         CREATE OPERATOR CLASS int4_ops DEFAULT FOR TYPE t USING btree AS OPERATOR 1 <, FUNCTION 1 compared(t, t);
         COMMENT ON OPERATOR CLASS found.int4_ops USING btree IS 'ours'; COMMENT ON OPERATOR FAMILY found.int4_ops USING btree IS 'ours';
         CREATE TABLE a (b t); CREATE INDEX i ON a (b)",
        "CREATE COLLATION \"C\" (LOCALE = 'POSIX'); COMMENT ON COLLATION found.\"C\" IS 'ours';
         CREATE TABLE a (b text COLLATE found.\"C\", c text COLLATE pg_catalog.\"C\"); CREATE INDEX i ON a (b COLLATE pg_catalog.\"C\", c COLLATE found.\"C\")",
        "CREATE TEXT SEARCH DICTIONARY simple (TEMPLATE = simple, ACCEPT = false);
         CREATE TEXT SEARCH CONFIGURATION english (PARSER = \"default\");
         ALTER TEXT SEARCH CONFIGURATION found.english ADD MAPPING FOR word WITH found.simple, pg_catalog.simple;
         COMMENT ON TEXT SEARCH CONFIGURATION found.english IS 'ours'",
    ])
    .await;
}
