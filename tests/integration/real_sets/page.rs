use super::{carried::Carried, corpus::Corpus};
use std::path::Path;
pub(crate) fn check(_folder: &Path, rows: &[(&Corpus, Carried)]) {
    for (c, r) in rows {
        eprintln!("{} {r:?}", c.name);
    }
}
