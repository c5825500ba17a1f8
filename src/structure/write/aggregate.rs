//! Aggregates: PostgreSQL cannot write their definition, so that it is put together here.

use super::{ObjectKey, Phase, Properties, WriteError, Writer, required};
use crate::{sql::Literal, structure::names::split};

/// How a property stands in `CREATE AGGREGATE`.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// As it is.
    Plain,
    /// Functions are known with their arguments, and named there without.
    Function,
    /// A text in quotes.
    Text,
    /// The word alone.
    Flag,
}

const PARTS: [(&str, &str, Form); 20] = [
    ("SFUNC", "transition function", Form::Function),
    ("STYPE", "state type", Form::Plain),
    ("SSPACE", "state size", Form::Plain),
    ("FINALFUNC", "final function", Form::Function),
    ("FINALFUNC_EXTRA", "final function takes", Form::Flag),
    ("FINALFUNC_MODIFY", "final function changes", Form::Plain),
    ("COMBINEFUNC", "combine function", Form::Function),
    ("SERIALFUNC", "serial function", Form::Function),
    ("DESERIALFUNC", "deserial function", Form::Function),
    ("INITCOND", "initial state", Form::Text),
    ("MSFUNC", "moving transition function", Form::Function),
    ("MINVFUNC", "moving inverse function", Form::Function),
    ("MSTYPE", "moving state type", Form::Plain),
    ("MSSPACE", "moving state size", Form::Plain),
    ("MFINALFUNC", "moving final function", Form::Function),
    (
        "MFINALFUNC_EXTRA",
        "moving final function takes",
        Form::Flag,
    ),
    (
        "MFINALFUNC_MODIFY",
        "moving final function changes",
        Form::Plain,
    ),
    ("MINITCOND", "moving initial state", Form::Text),
    ("SORTOP", "sort operator", Form::Plain),
    ("PARALLEL", "parallel", Form::Plain),
];

impl Writer<'_> {
    pub(super) fn aggregate(
        &mut self,
        key: &ObjectKey,
        properties: &Properties,
    ) -> Result<(), WriteError> {
        required(key, properties, "transition function")?;
        let mut parts = Vec::new();
        for (word, property, form) in PARTS {
            let Some(value) = properties.get(property) else {
                continue;
            };
            parts.push(match form {
                Form::Plain => format!("{word} = {value}"),
                Form::Function => {
                    let name = split(value, "(")[0];
                    format!("{word} = {name}")
                }
                Form::Text => format!("{word} = {}", Literal::new(value)?),
                Form::Flag => word.to_owned(),
            });
        }
        if properties
            .get("kind")
            .is_some_and(|kind| kind == "hypothetical set")
        {
            parts.push("HYPOTHETICAL".to_owned());
        }
        let text = format!(
            "CREATE AGGREGATE {} ({})",
            self.signature(key)?,
            parts.join(", ")
        );
        self.add(Phase::Routine, text)?;
        Ok(())
    }
}
