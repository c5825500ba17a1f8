//! The sets that are carried, and what each of them needs that is not in its files.

use super::{
    corpus::{Corpus, Edit, START},
    formats::Format,
};

/// A statement about pgvector, which a plain server does not have.
const fn without(statement: &'static str) -> Edit {
    Edit {
        file: "000019_add_embeddings.up.sql",
        from: statement,
        to: "",
        times: 1,
    }
}

/// A role would be made for all databases of a server, also of one that is not ours.
const fn granted(from: &'static str, to: &'static str) -> Edit {
    Edit {
        file: "000087_add_toxicity_classification.up.sql",
        from,
        to,
        times: 1,
    }
}

/// The name of a workspace's schema, which the application writes in its place.
const fn workspace(file: &'static str) -> Edit {
    Edit {
        file,
        from: "{replaceme}.",
        to: "public.",
        times: 2,
    }
}

/// A setting for the script, not for the session.
const fn local(file: &'static str) -> Edit {
    Edit {
        file,
        from: "SET timezone",
        to: "SET LOCAL timezone",
        times: 1,
    }
}

/// What `pg_dump` writes for its session; it says what is so anyway.
const fn header(file: &'static str) -> Edit {
    Edit {
        file,
        from: "SET default_tablespace = '';\nSET default_table_access_method = heap;\n",
        to: "",
        times: 1,
    }
}

/// What most sets are: pairs of files that any schema can hold, with nothing to be changed.
const PLAIN: Corpus = Corpus {
    name: "",
    commit: "",
    format: Format::Pairs,
    directories: &[],
    tenants: &["acme", "globex"],
    path: &["extensions"],
    writes: &[],
    prepare: "",
    stubs: None,
    edits: &[],
};

/// Every set that is carried.
pub(crate) static CORPORA: &[Corpus] = &[
    Corpus {
        name: "CSCfi/rems",
        commit: "16bcd1162351",
        directories: &["resources/migrations"],
        ..PLAIN
    },
    Corpus {
        name: "content-services/content-sources-backend",
        commit: "5f2944881e01",
        directories: &["db/migrations"],
        prepare: "CREATE EXTENSION \"uuid-ossp\" SCHEMA extensions; CREATE EXTENSION pg_trgm SCHEMA extensions",
        ..PLAIN
    },
    Corpus {
        name: "rust-lang/docs.rs",
        commit: "ad3fc7932dcc",
        directories: &["crates/lib/docs_rs_database/migrations"],
        prepare: "CREATE EXTENSION fuzzystrmatch SCHEMA extensions",
        ..PLAIN
    },
    Corpus {
        name: "subculture-collective/clipper",
        commit: "fb1e1442c9c9",
        directories: &["backend/migrations"],
        tenants: &["acme"],
        prepare: "CREATE EXTENSION pgcrypto SCHEMA extensions; CREATE EXTENSION pg_trgm SCHEMA extensions; CREATE EXTENSION ltree SCHEMA extensions",
        edits: &[
            without("CREATE EXTENSION IF NOT EXISTS vector;"),
            Edit {
                file: "000019_add_embeddings.up.sql",
                from: "vector(768);",
                to: "real[];",
                times: 1,
            },
            without(
                "CREATE INDEX idx_clips_embedding_hnsw ON clips\nUSING hnsw (embedding vector_cosine_ops)\nWITH (m = 16, ef_construction = 64);",
            ),
            without(
                "COMMENT ON INDEX idx_clips_embedding_hnsw IS\n'HNSW index for fast vector similarity search using cosine distance. Used for semantic search re-ranking.';",
            ),
            granted(
                "toxicity_predictions TO clipper",
                "toxicity_predictions TO PUBLIC",
            ),
            granted(
                "toxicity_review_feedback TO clipper",
                "toxicity_review_feedback TO PUBLIC",
            ),
            granted("toxicity_metrics TO clipper", "toxicity_metrics TO PUBLIC"),
            Edit {
                file: "000023_add_advanced_query_indexes.down.sql",
                from: START,
                to: "-- tenantry: no-transaction\n",
                times: 1,
            },
        ],
        ..PLAIN
    },
    Corpus {
        name: "thijs-creemers/boundary",
        commit: "5d4aef8801d1",
        directories: &[
            "resources/migrations",
            "libs/geo/resources/boundary/geo/migrations",
            "libs/push/resources/boundary/push/migrations",
            "test/migrations-tenant-test",
        ],
        tenants: &["acme"],
        writes: &["public"],
        stubs: Some([
            "CREATE TABLE users (tenant_id text, deleted_at timestamptz);\nCREATE TABLE user_sessions (user_id text);\n",
            "DROP TABLE user_sessions;\nDROP TABLE users;\n",
        ]),
        ..PLAIN
    },
    Corpus {
        name: "rust-lang/crates.io",
        commit: "57fa000662f5",
        format: Format::Diesel,
        directories: &["migrations"],
        // Its scripts make their extensions there, and take them away.
        path: &["public"],
        edits: &[
            Edit {
                file: "2024-04-12-144536_remove-downloads-column/down.sql",
                from: START,
                to: "-- tenantry: no-transaction\n",
                times: 1,
            },
            local("2025-02-17-133723_timezones/up.sql"),
            local("2025-02-17-133723_timezones/down.sql"),
        ],
        ..PLAIN
    },
    Corpus {
        name: "juspay/superposition",
        commit: "67859473c887",
        format: Format::Diesel,
        directories: &["crates/superposition_types/migrations"],
        tenants: &[],
        writes: &["superposition"],
        edits: &[
            workspace("2025-10-28-070717_functions-modifications/up.sql"),
            workspace("2025-10-28-070717_functions-modifications/down.sql"),
            header("2023-10-16-133815_context-aware-config-init/up.sql"),
            header("2023-10-16-134612_experimentation-init/up.sql"),
        ],
        ..PLAIN
    },
    Corpus {
        name: "security-union/videocall-rs",
        commit: "33b44e02fb0e",
        format: Format::Dbmate,
        directories: &["dbmate/db/migrations"],
        ..PLAIN
    },
    Corpus {
        name: "chirpstack/chirpstack",
        commit: "d77207cd362d",
        format: Format::Diesel,
        directories: &["chirpstack/migrations_postgres"],
        prepare: "CREATE EXTENSION pg_trgm SCHEMA extensions",
        ..PLAIN
    },
    Corpus {
        name: "SpongePowered/Ore",
        commit: "943a6ddbab41",
        format: Format::Evolutions,
        directories: &["ore/conf/evolutions/default"],
        tenants: &[],
        prepare: "CREATE EXTENSION hstore SCHEMA extensions",
        ..PLAIN
    },
];
