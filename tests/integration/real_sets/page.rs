use std::path::Path;
use super::{carried::Carried, corpus::Corpus};
pub(crate) fn check(_folder: &Path, rows: &[(&Corpus, Carried)]) { for (c, r) in rows { eprintln!("{} {r:?}", c.name); } }
