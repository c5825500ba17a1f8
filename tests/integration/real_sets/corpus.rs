//! The sets that are carried, and what each of them needs that is not in its files.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// One set: where it is from, and what it takes to carry it.
pub(crate) struct Corpus {
    /// The repository on GitHub.
    pub(crate) name: &'static str,
    pub(crate) commit: &'static str,
    pub(crate) directories: &'static [&'static str],
    /// How many tenants' schemas of one database can hold it; one where its scripts name a schema or ask for all of them.
    pub(crate) tenants: &'static [&'static str],
    /// What a database has before the first migration, beside the schema `extensions`.
    pub(crate) prepare: &'static str,
    /// A migration of ours before the first: up and down of tables that the set takes for granted in its schema.
    pub(crate) stubs: Option<[&'static str; 2]>,
    /// What is written otherwise: file, text, text in its place.
    pub(crate) edits: &'static [Edit],
}

/// A change of one file.
pub(crate) struct Edit {
    pub(crate) file: &'static str,
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    /// How often it stands there.
    pub(crate) times: usize,
}

/// Before everything else in a file.
const START: &str = "";

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

/// Every set that is carried.
pub(crate) static CORPORA: &[Corpus] = &[
    Corpus {
        name: "CSCfi/rems",
        commit: "16bcd1162351",
        directories: &["resources/migrations"],
        tenants: &["acme", "globex"],
        prepare: "",
        stubs: None,
        edits: &[],
    },
    Corpus {
        name: "content-services/content-sources-backend",
        commit: "5f2944881e01",
        directories: &["db/migrations"],
        tenants: &["acme", "globex"],
        prepare: "CREATE EXTENSION \"uuid-ossp\" SCHEMA extensions; CREATE EXTENSION pg_trgm SCHEMA extensions",
        stubs: None,
        edits: &[],
    },
    Corpus {
        name: "rust-lang/docs.rs",
        commit: "ad3fc7932dcc",
        directories: &["crates/lib/docs_rs_database/migrations"],
        tenants: &["acme", "globex"],
        prepare: "CREATE EXTENSION fuzzystrmatch SCHEMA extensions",
        stubs: None,
        edits: &[],
    },
    Corpus {
        name: "subculture-collective/clipper",
        commit: "fb1e1442c9c9",
        directories: &["backend/migrations"],
        tenants: &["acme"],
        prepare: "CREATE EXTENSION pgcrypto SCHEMA extensions; CREATE EXTENSION pg_trgm SCHEMA extensions; CREATE EXTENSION ltree SCHEMA extensions",
        stubs: None,
        edits: &[
            without("CREATE EXTENSION IF NOT EXISTS vector;"),
            without("ALTER TABLE clips ADD COLUMN embedding vector(768);"),
            without(
                "CREATE INDEX idx_clips_embedding_hnsw ON clips\nUSING hnsw (embedding vector_cosine_ops)\nWITH (m = 16, ef_construction = 64);",
            ),
            without(
                "COMMENT ON INDEX idx_clips_embedding_hnsw IS\n'HNSW index for fast vector similarity search using cosine distance. Used for semantic search re-ranking.';",
            ),
            without(
                "COMMENT ON COLUMN clips.embedding IS\n'Vector embedding of clip content (title + tags + metadata) for semantic search. 768 dimensions.';",
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
        prepare: "",
        stubs: Some([
            "CREATE TABLE users (tenant_id text, deleted_at timestamptz);\nCREATE TABLE user_sessions (user_id text);\n",
            "DROP TABLE user_sessions;\nDROP TABLE users;\n",
        ]),
        edits: &[],
    },
];

/// The folder with the sets; none, with a word about it, where there is none.
pub(crate) fn folder() -> Option<PathBuf> {
    let folder = env::var_os("TENANTRY_CORPORA");
    if folder.is_none() {
        skipped("TENANTRY_CORPORA is not set");
    }
    folder.map(PathBuf::from)
}

/// Says why something was not tested, past the test runner, which would keep it to itself.
pub(crate) fn skipped(why: &str) {
    let line = format!("skipped: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

impl Corpus {
    /// Its files as they are carried, in a folder of their own; none, with a word about it, where they are not there.
    pub(crate) fn files(&self, folder: &Path) -> Option<Files> {
        let source = folder.join(self.name.replace('/', "__"));
        if !source.is_dir() {
            skipped(&format!("{} is not in {}", self.name, folder.display()));
            return None;
        }
        let copy = tempfile::tempdir().unwrap();
        let mut directories = Vec::new();
        let mut edited = 0;
        for (number, directory) in self.directories.iter().enumerate() {
            let target = copy.path().join(number.to_string());
            fs::create_dir(&target).unwrap();
            for entry in fs::read_dir(source.join(directory)).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|extension| extension == "sql") {
                    let mut text = fs::read(&path).unwrap();
                    let name = path.file_name().unwrap();
                    for edit in self.edits.iter().filter(|edit| name == edit.file) {
                        text = edit.apply(&text);
                        edited += 1;
                    }
                    fs::write(target.join(name), text).unwrap();
                }
            }
            directories.push(target);
        }
        if let Some([up, down]) = self.stubs {
            fs::write(directories[0].join("0-stubs.up.sql"), up).unwrap();
            fs::write(directories[0].join("0-stubs.down.sql"), down).unwrap();
        }
        assert_eq!(
            edited,
            self.edits.len(),
            "{}: a file to edit is missing",
            self.name
        );
        fs::create_dir(copy.path().join("nothing")).unwrap();
        Some(Files { directories, copy })
    }
}

impl Edit {
    fn apply(&self, text: &[u8]) -> Vec<u8> {
        let text = String::from_utf8(text.to_vec()).unwrap();
        if self.from == START {
            return format!("{}{text}", self.to).into_bytes();
        }
        assert_eq!(
            text.matches(self.from).count(),
            self.times,
            "{}: {:?}",
            self.file,
            self.from
        );
        text.replace(self.from, self.to).into_bytes()
    }
}

/// The files of a set as they are carried. Gone with this value.
pub(crate) struct Files {
    pub(crate) directories: Vec<PathBuf>,
    copy: TempDir,
}

impl Files {
    /// A directory without files.
    pub(crate) fn nothing(&self) -> String {
        self.copy.path().join("nothing").display().to_string()
    }

    /// The up scripts, in order of version.
    pub(crate) fn ups(&self) -> Vec<PathBuf> {
        let mut ups = Vec::new();
        for directory in &self.directories {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap();
                if name.ends_with(".up.sql") {
                    let digits = name.find(|c: char| !c.is_ascii_digit()).unwrap();
                    ups.push((name[..digits].parse::<u128>().unwrap(), path));
                }
            }
        }
        ups.sort();
        ups.into_iter().map(|(_, path)| path).collect()
    }
}
