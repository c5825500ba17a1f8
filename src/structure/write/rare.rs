//! What most schemas have none of: operators, collations, casts, text search.

use super::{
    Kind, ObjectKey, Phase, Properties, WriteError, Writer,
    called::{operands, with_method},
    ident, required, unwritable,
};
use crate::sql::Literal;

impl Writer<'_> {
    pub(super) fn rare(
        &mut self,
        key: &ObjectKey,
        properties: &Properties,
    ) -> Result<(), WriteError> {
        let called = self.called(key)?;
        match key.kind {
            Kind::Extension if properties.contains_key("schema") => {
                return Err(unwritable(key, "it is in another schema"));
            }
            Kind::Extension => {
                let version = Literal::new(required(key, properties, "version")?)?;
                self.add(
                    Phase::Extension,
                    format!("CREATE {called} VERSION {version}"),
                )?;
            }
            Kind::Collation => self.add(Phase::Type, collation(&called, properties)?)?,
            Kind::Operator => self.operator(key, properties)?,
            Kind::OperatorFamily => {
                self.add(Phase::Operator, format!("CREATE {called}"))?;
                let members = members(properties);
                if !members.is_empty() {
                    let text = format!("ALTER {called} ADD {}", members.join(", "));
                    self.add(Phase::Operator, text)?;
                }
            }
            Kind::OperatorClass => self.operator_class(key, properties)?,
            Kind::Cast => self.cast(key, properties)?,
            Kind::TextSearchDictionary => {
                let mut text = format!(
                    "CREATE {called} (TEMPLATE = {}",
                    required(key, properties, "template")?
                );
                if let Some(options) = properties.get("options") {
                    text += &format!(", {options}");
                }
                self.add(Phase::Type, text + ")")?;
            }
            Kind::TextSearchConfiguration => self.configuration(key, properties)?,
            _ => {
                let get = |property| required(key, properties, property);
                let default = if get("default")? == "yes" {
                    "DEFAULT "
                } else {
                    ""
                };
                let (from, to) = (Literal::new(get("from")?)?, Literal::new(get("to")?)?);
                let text = format!(
                    "CREATE {default}{called} FOR {from} TO {to} FROM {}",
                    get("function")?
                );
                self.add(Phase::Operator, text)?;
            }
        }
        Ok(())
    }

    fn operator(&mut self, key: &ObjectKey, properties: &Properties) -> Result<(), WriteError> {
        // One that was only announced is made by the operator that names it.
        let Some(function) = properties.get("function") else {
            return Ok(());
        };
        let (name, operands) = operands(key)?;
        let (left, right) = operands
            .split_once(", ")
            .ok_or_else(|| unwritable(key, "its operands are not known"))?;
        let mut parts = vec![format!("FUNCTION = {function}")];
        if left != "NONE" {
            parts.push(format!("LEFTARG = {left}"));
        }
        parts.push(format!("RIGHTARG = {right}"));
        for (word, property) in [
            ("COMMUTATOR", "commutator"),
            ("NEGATOR", "negator"),
            ("RESTRICT", "restriction estimator"),
            ("JOIN", "join estimator"),
        ] {
            parts.extend(
                properties
                    .get(property)
                    .map(|value| format!("{word} = {value}")),
            );
        }
        for (word, property) in [("HASHES", "hashes"), ("MERGES", "merges")] {
            parts.extend(properties.get(property).map(|_| word.to_owned()));
        }
        let text = format!("CREATE OPERATOR {name} ({})", parts.join(", "));
        self.add(Phase::Operator, text)?;
        Ok(())
    }

    fn operator_class(
        &mut self,
        key: &ObjectKey,
        properties: &Properties,
    ) -> Result<(), WriteError> {
        let get = |property| required(key, properties, property);
        let (name, method) = with_method(key)?;
        let default = if get("default")? == "yes" {
            " DEFAULT"
        } else {
            ""
        };
        let indexed = get("type")?;
        let mut items = members(properties);
        let storage = properties.get("storage type").map(String::as_str);
        // There must be something, and this says nothing.
        let storage = storage.or(items.is_empty().then_some(indexed));
        items.extend(storage.map(|storage| format!("STORAGE {storage}")));
        let text = format!(
            "CREATE OPERATOR CLASS {name}{default} FOR TYPE {indexed} USING {method} FAMILY {} AS {}",
            get("family")?,
            items.join(", ")
        );
        self.add(Phase::Operator, text)?;
        Ok(())
    }

    fn cast(&mut self, key: &ObjectKey, properties: &Properties) -> Result<(), WriteError> {
        let get = |property| required(key, properties, property);
        let how = match get("method")? {
            "function" => format!("WITH FUNCTION {}", get("function")?),
            "input and output" => "WITH INOUT".to_owned(),
            _ => "WITHOUT FUNCTION".to_owned(),
        };
        let context = match get("context")? {
            "assignment" => " AS ASSIGNMENT",
            "implicit" => " AS IMPLICIT",
            _ => "",
        };
        self.add(
            Phase::Operator,
            format!("CREATE CAST ({}) {how}{context}", key.name),
        )?;
        Ok(())
    }

    fn configuration(
        &mut self,
        key: &ObjectKey,
        properties: &Properties,
    ) -> Result<(), WriteError> {
        let called = self.called(key)?;
        let parser = required(key, properties, "parser")?;
        self.add(
            Phase::Operator,
            format!("CREATE {called} (PARSER = {parser})"),
        )?;
        for (property, dictionaries) in properties {
            if let Some(token) = property.strip_prefix("dictionaries for ") {
                let text = format!(
                    "ALTER {called} ADD MAPPING FOR {} WITH {dictionaries}",
                    ident(token)?
                );
                self.add(Phase::Operator, text)?;
            }
        }
        Ok(())
    }
}

fn collation(called: &str, properties: &Properties) -> Result<String, WriteError> {
    let get = |property: &str| properties.get(property).map(String::as_str);
    let mut parts = vec![format!("PROVIDER = {}", get("provider").unwrap_or("libc"))];
    for (word, property) in [
        ("LOCALE", "locale"),
        ("LC_COLLATE", "lc_collate"),
        ("LC_CTYPE", "lc_ctype"),
        ("RULES", "rules"),
    ] {
        if let Some(value) = get(property) {
            parts.push(format!("{word} = {}", Literal::new(value)?));
        }
    }
    if get("deterministic") == Some("no") {
        parts.push("DETERMINISTIC = false".to_owned());
    }
    Ok(format!("CREATE {called} ({})", parts.join(", ")))
}

/// The operators and functions of a class or family, a line each, as they are added to it.
fn members(properties: &Properties) -> Vec<String> {
    let lines = |property| {
        properties
            .get(property)
            .into_iter()
            .flat_map(|all| all.lines())
    };
    // An operator stands here without the word and the brackets that it has elsewhere.
    let operators = lines("operators").map(|line| {
        let bare = line.replacen("OPERATOR(", "", 1).replacen(")(", " (", 1);
        format!("OPERATOR {bare}")
    });
    let functions = lines("functions").map(|line| format!("FUNCTION {line}"));
    operators.chain(functions).collect()
}
