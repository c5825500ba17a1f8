//! Migrations as other tools keep them, turned into tenantry's pairs of files: as much of each format as the sets here use.

use std::{fs, path::Path};

use tenantry::migration::Version;

/// How a tool keeps its migrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// `<version>_<name>.up.sql` and `.down.sql`: golang-migrate, migratus and sqlx. The last two mark in the first line what is
    /// no transaction.
    Pairs,
    /// A directory a migration, with `up.sql`, `down.sql` and perhaps `metadata.toml`.
    Diesel,
    /// Both ways in one file, after `-- migrate:up` and `-- migrate:down`.
    Dbmate,
    /// Play's evolutions: both ways in `<number>.sql`, after `# --- !Ups` and `# --- !Downs`.
    Evolutions,
}

/// One migration, as tenantry takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    /// What its own files call it, and `verdicts.csv` too.
    pub(crate) label: String,
    /// Its number, in digits as they stand in the files' names.
    pub(crate) digits: String,
    pub(crate) name: String,
    pub(crate) up: String,
    pub(crate) down: Option<String>,
}

/// What stands before everything in a script that is no transaction.
const NO_TRANSACTION: &str = "-- tenantry: no-transaction\n";
/// What stands before everything in an up that has no way back.
const IRREVERSIBLE: &str = "-- tenantry: irreversible\n";

impl Format {
    /// The migrations of a directory, in no order. `edit` is given each file, by its path in the directory, and its text.
    pub(crate) fn read(
        self,
        directory: &Path,
        edit: &mut dyn FnMut(&str, String) -> String,
    ) -> Vec<Pair> {
        let mut read = |file: &str| {
            let text = fs::read_to_string(directory.join(file)).ok()?;
            Some(edit(file, text))
        };
        let mut names: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with(|c: char| c.is_ascii_digit()))
            .collect();
        match self {
            Self::Pairs => pairs(&names, &mut read),
            Self::Diesel => {
                // It sorts its versions as texts, and they are of several lengths: no number made of their digits has that
                // order, so their places are their numbers.
                names.sort_by_key(|name| diesel_version(name));
                let numbered = names.iter().enumerate();
                numbered
                    .map(|(place, name)| diesel(place, name, &mut read))
                    .collect()
            }
            Self::Dbmate => both_ways(&names, &mut read, dbmate),
            Self::Evolutions => both_ways(&names, &mut read, |text| {
                // A semicolon that ends no statement is written twice.
                evolutions(text).map(|part| part.map(|text| text.replace(";;", ";")))
            }),
        }
    }
}

type Read<'a> = &'a mut dyn FnMut(&str) -> Option<String>;

fn pairs(names: &[String], read: Read<'_>) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for up in names.iter().filter(|name| name.ends_with(".up.sql")) {
        let label = up.trim_end_matches(".up.sql");
        let up = read(up).unwrap();
        let down = read(&format!("{label}.down.sql"));
        pairs.push(Pair::new(label, label, marked(up), down.map(marked)));
    }
    pairs
}

/// A script whose first line says in the words of migratus or sqlx that it is no transaction says so in ours.
fn marked(text: String) -> String {
    let marks = ["-- :disable-transaction", "-- no-transaction"];
    let is_marked = marks.iter().any(|mark| text.starts_with(mark));
    if is_marked {
        NO_TRANSACTION.to_owned() + &text
    } else {
        text
    }
}

/// What stands before the first underscore, without dashes.
fn diesel_version(directory: &str) -> String {
    let version = directory.split('_').next().unwrap_or_default();
    version.replace('-', "")
}

fn diesel(place: usize, directory: &str, read: Read<'_>) -> Pair {
    let metadata = read(&format!("{directory}/metadata.toml")).unwrap_or_default();
    let is_marked = metadata
        .replace(' ', "")
        .contains("run_in_transaction=false");
    let mut script = |direction| {
        let text = read(&format!("{directory}/{direction}.sql"))?;
        Some(if is_marked {
            NO_TRANSACTION.to_owned() + &text
        } else {
            text
        })
    };
    let (up, down) = (script("up").unwrap(), script("down"));
    let named = format!("{}_{directory}", place + 1);
    Pair::new(directory, &named, up, down)
}

/// The scripts of files that hold both ways, as `parts` tells the up and the down of a text.
fn both_ways(
    names: &[String],
    read: Read<'_>,
    parts: impl Fn(&str) -> [Option<String>; 2],
) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for file in names.iter().filter(|name| name.ends_with(".sql")) {
        let [up, down] = parts(&read(file).unwrap());
        let named = file.trim_end_matches(".sql");
        pairs.push(Pair::new(file, named, up.unwrap_or_default(), down));
    }
    pairs
}

/// The up and the down of a file of dbmate. `transaction:false` behind a mark is for its own way only.
fn dbmate(text: &str) -> [Option<String>; 2] {
    sections(text, |line| {
        let mark = line.strip_prefix("--")?.trim_start();
        let (way, options) = match mark.strip_prefix("migrate:up") {
            Some(options) => (0, options),
            None => (1, mark.strip_prefix("migrate:down")?),
        };
        let no_transaction = options.contains("transaction:false");
        Some((way, if no_transaction { NO_TRANSACTION } else { "" }))
    })
}

/// The up and the down of an evolution.
fn evolutions(text: &str) -> [Option<String>; 2] {
    sections(text, |line| {
        let is_mark = line.starts_with('#') || line.starts_with("--");
        let way = ["!Ups", "!Downs"]
            .iter()
            .position(|mark| line.contains(mark));
        way.filter(|_| is_mark).map(|way| (way, ""))
    })
}

/// Cuts a text at the lines that `mark` knows: which way begins there, and what its script begins with.
fn sections(text: &str, mark: impl Fn(&str) -> Option<(usize, &str)>) -> [Option<String>; 2] {
    let mut parts = [None, None];
    let mut at = None;
    for line in text.split_inclusive('\n') {
        if let Some((way, begins)) = mark(line) {
            at = Some(way);
            parts[way].get_or_insert_with(String::new).push_str(begins);
        } else if let Some(part) = at.and_then(|way: usize| parts[way].as_mut()) {
            part.push_str(line);
        }
    }
    parts
}

impl Pair {
    /// Of files that are called `named`: digits, perhaps a dash or underscore and more.
    fn new(label: &str, named: &str, up: String, down: Option<String>) -> Self {
        let name = named.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = &named[..named.len() - name.len()];
        let name = name.trim_start_matches(['-', '_']);
        let mark = if down.is_none() { IRREVERSIBLE } else { "" };
        Self {
            label: label.to_owned(),
            digits: digits.to_owned(),
            name: if name.is_empty() { "evolution" } else { name }.to_owned(),
            up: format!("{mark}{up}"),
            down,
        }
    }

    /// Its version as a number.
    pub(crate) fn version(&self) -> Version {
        self.digits.parse().unwrap()
    }

    /// Writes its files as tenantry's.
    pub(crate) fn write(&self, directory: &Path) {
        let file = |way| directory.join(format!("{}-{}.{way}.sql", self.digits, self.name));
        fs::write(file("up"), &self.up).unwrap();
        if let Some(down) = &self.down {
            fs::write(file("down"), down).unwrap();
        }
    }
}

#[test]
fn directories_of_diesel_keep_their_order_as_texts() {
    assert_eq!(
        told(
            Format::Diesel,
            &[
                ("2026-05-27-120000_a/up.sql", "a"),
                ("2026-05-27-120000_a/down.sql", "not a"),
                ("2026-05-27-120000-0000_b c/up.sql", "b"),
                ("2026-05-27-120000-0000_b c/down.sql", "not b"),
                (
                    "2026-05-27-120000-0000_b c/metadata.toml",
                    "run_in_transaction = false"
                ),
                ("20140924113530_first/up.sql", "first"),
                ("data.sql", "no migration"),
            ],
        ),
        "20140924113530_first: 1-20140924113530_first\n\
         -- tenantry: irreversible\n\
         first\n\
         2026-05-27-120000_a: 2-2026-05-27-120000_a\n\
         a\n\
         back: not a\n\
         2026-05-27-120000-0000_b c: 3-2026-05-27-120000-0000_b c\n\
         -- tenantry: no-transaction\n\
         b\n\
         back: -- tenantry: no-transaction\n\
         not b\n"
    );
}

#[test]
fn each_script_of_a_pair_says_by_itself_that_it_is_no_transaction() {
    assert_eq!(
        told(
            Format::Pairs,
            &[
                ("7-a.b.up.sql", "-- :disable-transaction\na"),
                ("7-a.b.down.sql", "not a"),
                ("008_c.up.sql", "-- a comment\n-- no-transaction\nc"),
                ("008_c.down.sql", "-- no-transaction\nnot c"),
                ("seed.sql", "no migration"),
            ],
        ),
        "7-a.b: 7-a.b\n\
         -- tenantry: no-transaction\n\
         -- :disable-transaction\n\
         a\n\
         back: not a\n\
         008_c: 008-c\n\
         -- a comment\n\
         -- no-transaction\n\
         c\n\
         back: -- tenantry: no-transaction\n\
         -- no-transaction\n\
         not c\n"
    );
}

#[test]
fn files_with_both_ways_are_cut_at_their_marks() {
    let text =
        "ignored\n-- migrate:up\na;\n -- migrate:down\n-- migrate:down transaction:false\nnot a;\n";
    assert_eq!(
        told(Format::Dbmate, &[("20250101_a.sql", text)]),
        "20250101_a.sql: 20250101-a\n\
         a;\n -- migrate:down\n\
         \n\
         back: -- tenantry: no-transaction\n\
         not a;\n\n"
    );
    assert_eq!(
        told(
            Format::Evolutions,
            &[
                ("1.sql", "# --- !Ups\na;;b;\n# -- !Downs\nnot a"),
                ("2_c.sql", "# --- !Ups\nc"),
            ],
        ),
        "1.sql: 1-evolution\n\
         a;b;\n\
         \n\
         back: not a\n\
         2_c.sql: 2-c\n\
         -- tenantry: irreversible\n\
         c\n"
    );
}

/// What a directory with these files is read as.
fn told(format: Format, files: &[(&str, &str)]) -> String {
    let directory = tempfile::tempdir().unwrap();
    for (file, text) in files {
        let path = directory.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let mut pairs = format.read(directory.path(), &mut |_, text| text);
    pairs.sort_by_key(|pair| pair.version());
    let mut told = String::new();
    for Pair {
        label,
        digits,
        name,
        up,
        down,
    } in pairs
    {
        told += &format!("{label}: {digits}-{name}\n{up}\n");
        told.extend(down.map(|down| format!("back: {down}\n")));
    }
    told
}
