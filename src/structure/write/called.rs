//! What an object is called in a statement that is about it, such as `COMMENT ON` or `ALTER`.

use super::{Kind, ObjectKey, WriteError, Writer, ident, table_of, unwritable};
use crate::{sql::Ident, structure::unqualified::OWN};

impl Writer<'_> {
    /// What it is and its name: `TABLE "orders"`, `TRIGGER "touched" ON "orders"`.
    pub(super) fn called(&self, key: &ObjectKey) -> Result<String, WriteError> {
        let word = match key.kind {
            Kind::Type if self.is_domain(key) => "DOMAIN".to_owned(),
            Kind::Table if self.is_foreign(key) => "FOREIGN TABLE".to_owned(),
            kind => kind.to_string().to_uppercase(),
        };
        let name = match key.kind {
            Kind::Schema => OWN.to_owned(),
            Kind::Column => format!("{}.{}", ident(table_of(key)?)?, ident(&key.name)?),
            Kind::Constraint | Kind::Trigger | Kind::Rule | Kind::Policy => {
                format!("{} ON {}", ident(&key.name)?, ident(table_of(key)?)?)
            }
            Kind::Function | Kind::Procedure | Kind::Aggregate => self.signature(key)?,
            Kind::Operator => {
                let (name, operands) = operands(key)?;
                format!("{} ({operands})", self.found(key, name))
            }
            Kind::OperatorClass | Kind::OperatorFamily => {
                let (name, method) = with_method(key)?;
                format!("{} USING {method}", self.found(key, &name.to_string()))
            }
            Kind::Cast => format!("({})", key.name),
            _ => self.named(key, &key.name)?,
        };
        Ok(format!("{word} {name}"))
    }

    /// Name and arguments of a routine. Those that an aggregate orders by stand apart, and `*` is what one without arguments
    /// takes.
    pub(super) fn signature(&self, key: &ObjectKey) -> Result<String, WriteError> {
        let (name, types) = self.name_and_types(key)?;
        if key.kind != Kind::Aggregate {
            return Ok(format!("{name}({types})"));
        }
        let properties = self.snapshot.get(key);
        let arguments = properties.and_then(|properties| properties.get("arguments"));
        Ok(match arguments.map(String::as_str) {
            None | Some("") => format!("{name}(*)"),
            Some(arguments) => format!("{name}({arguments})"),
        })
    }

    /// The name of a routine, and the types of its arguments.
    pub(super) fn name_and_types(&self, key: &ObjectKey) -> Result<(String, &str), WriteError> {
        let properties = self.snapshot.get(key);
        let known = properties.and_then(|properties| {
            let types = properties.get("types")?;
            let name = key.name.strip_suffix(')')?.strip_suffix(types.as_str())?;
            Some((name.strip_suffix('(')?, types))
        });
        let (name, types) = known.ok_or_else(|| unwritable(key, "its arguments are not known"))?;
        Ok((self.named(key, name)?, types))
    }
}

/// An operator's name, which needs no quotes, and the types of its operands.
pub(super) fn operands(key: &ObjectKey) -> Result<(&str, &str), WriteError> {
    let known = key.name.strip_suffix(')').and_then(|n| n.split_once('('));
    known.ok_or_else(|| unwritable(key, "its operands are not known"))
}

/// The name of an operator class or family, and the method of index that it is for.
pub(super) fn with_method(key: &ObjectKey) -> Result<(Ident, Ident), WriteError> {
    let (name, method) = key
        .name
        .rsplit_once(" using ")
        .ok_or_else(|| unwritable(key, "its access method is not known"))?;
    Ok((ident(name)?, ident(method)?))
}
