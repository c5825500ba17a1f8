//! Types: enumerations, composites, ranges, domains.

use super::{Kind, ObjectKey, Phase, Properties, WriteError, Writer, ident, required, unwritable};
use crate::sql::Literal;

impl Writer<'_> {
    pub(super) fn is_domain(&self, key: &ObjectKey) -> bool {
        let properties = self.snapshot.get(key);
        key.kind == Kind::Type
            && properties.is_some_and(|p| p.get("kind").is_some_and(|kind| kind == "domain"))
    }

    pub(super) fn a_type(
        &mut self,
        key: &ObjectKey,
        properties: &Properties,
    ) -> Result<(), WriteError> {
        let name = ident(&key.name)?;
        let get = |property: &str| properties.get(property).map_or("", String::as_str);
        let text = match get("kind") {
            "enum" => format!("CREATE TYPE {name} AS ENUM ({})", get("labels")),
            "composite" => format!("CREATE TYPE {name} AS ({})", get("attributes")),
            "range" => range(key, properties)?,
            "shell" => format!("CREATE TYPE {name}"),
            "domain" => {
                self.domain(key, properties)?;
                return self.comments_within(key, properties);
            }
            _ => return Err(unwritable(key, "it is a type of another kind")),
        };
        self.add(Phase::Type, text)?;
        self.comments_within(key, properties)
    }

    fn domain(&mut self, key: &ObjectKey, properties: &Properties) -> Result<(), WriteError> {
        let base = required(key, properties, "base type")?;
        let mut text = format!("CREATE DOMAIN {} AS {base}", ident(&key.name)?);
        let name = self.named(key, &key.name)?;
        if let Some(collation) = properties.get("collation") {
            text += &format!(" COLLATE {collation}");
        }
        let mut apart = vec![text.clone()];
        if let Some(default) = properties.get("default") {
            text += &format!(" DEFAULT {default}");
            apart.push(format!("ALTER DOMAIN {name} SET DEFAULT {default}"));
        }
        if properties.get("not null").is_some_and(|is| is == "yes") {
            text += " NOT NULL";
            apart.push(format!("ALTER DOMAIN {name} SET NOT NULL"));
        }
        let mut later = Vec::new();
        for (property, definition) in properties {
            let Some(constraint) = property.strip_prefix("constraint ") else {
                continue;
            };
            let constraint = format!("CONSTRAINT {} {definition}", ident(constraint)?);
            let added = format!("ALTER DOMAIN {name} ADD {constraint}");
            if definition.ends_with(" NOT VALID") {
                later.push(added);
            } else {
                text += &format!(" {constraint}");
                apart.push(added);
            }
        }
        self.add_or_apart(Phase::Type, text, apart)?;
        for statement in later {
            self.add(Phase::Constraint, statement)?;
        }
        Ok(())
    }

    /// Comments on the attributes of a composite type, and on the constraints of a domain.
    fn comments_within(
        &mut self,
        key: &ObjectKey,
        properties: &Properties,
    ) -> Result<(), WriteError> {
        let name = self.named(key, &key.name)?;
        let is_domain = self.is_domain(key);
        for (property, comment) in properties {
            let Some(part) = property.strip_prefix("comment on ") else {
                continue;
            };
            let part = ident(part)?;
            let what = if is_domain {
                format!("CONSTRAINT {part} ON DOMAIN {name}")
            } else {
                format!("COLUMN {name}.{part}")
            };
            let comment = Literal::new(comment)?;
            self.add(Phase::Comment, format!("COMMENT ON {what} IS {comment}"))?;
        }
        Ok(())
    }
}

fn range(key: &ObjectKey, properties: &Properties) -> Result<String, WriteError> {
    if properties.contains_key("canonical function") {
        return Err(unwritable(key, "its canonical function is written in C"));
    }
    let parts = [
        ("SUBTYPE", "subtype"),
        ("SUBTYPE_OPCLASS", "subtype operator class"),
        ("COLLATION", "subtype collation"),
        ("SUBTYPE_DIFF", "subtype difference"),
        ("MULTIRANGE_TYPE_NAME", "multirange type"),
    ];
    let parts: Vec<_> = parts
        .into_iter()
        .filter_map(|(word, property)| Some(format!("{word} = {}", properties.get(property)?)))
        .collect();
    let name = ident(&key.name)?;
    Ok(format!(
        "CREATE TYPE {name} AS RANGE ({})",
        parts.join(", ")
    ))
}
