//! A new schema from the file of its structure: one transaction that runs the file and records every migration that it
//! stands for, all or none.

use super::{
    compile::{CHECK, Draft, LEFT, bytea, text},
    cut,
    template::Origin,
};
use crate::{history::Digest, migration::Migration, plan::Built};

impl Draft<'_> {
    /// Adds what stands in for the first migrations.
    pub(super) fn built(&mut self, built: &Built) {
        // As it was proven: it names what is in other schemas, and its functions may call each other.
        self.template
            .search_path(&[])
            .own("SET LOCAL check_function_bodies = off");
        self.template.relations += cut::relations(&built.script);
        self.timeouts(&built.script);
        self.template.script(Origin::of_built(built));
        self.template.own(CHECK);
        self.audit();
        let migrations = built.migrations.iter();
        let downs = |m: &Migration| m.down.as_ref().map(|down| bytea(down.checksum.as_bytes()));
        let arguments = [
            array(
                "text",
                migrations.clone().map(|m| text(&m.version.to_string())),
            ),
            array("text", migrations.clone().map(|m| text(&m.name))),
            array(
                "bytea",
                migrations.clone().map(|m| bytea(m.up.checksum.as_bytes())),
            ),
            array(
                "bytea",
                migrations.map(|m| downs(m).unwrap_or_else(|| "NULL".to_owned())),
            ),
            bytea(&built.digest.0),
            text(&self.limits.who),
        ];
        self.template.call(
            "leave_built",
            &format!(", {LEFT}, {}", arguments.join(", ")),
        );
        self.template.revisions += 1;
        self.template.migrations += built.migrations.len();
        self.template.leaves = Some((Some(built.version), built.digest));
        self.template.repeatables = Some(Digest::EMPTY);
    }
}

fn array(of: &str, values: impl Iterator<Item = String>) -> String {
    format!("ARRAY[{}]::{of}[]", values.collect::<Vec<_>>().join(", "))
}
