//! How to ask again for what failed.

use crate::tenant::Target;

/// The command that was given, as far as it has to be typed again.
#[derive(Debug)]
pub(in crate::cli) struct Retry<'a> {
    pub(in crate::cli) command: &'static str,
    /// The selector that was given, or what stood in its place.
    pub(in crate::cli) selector: Option<&'a str>,
    /// The rest of it.
    pub(in crate::cli) arguments: String,
    /// The goal is counted from where a tenant stands: those that have moved would move again.
    pub(in crate::cli) relative: bool,
}

/// More names than this are no command line any more.
const NAMES: usize = 8;

impl Retry<'_> {
    /// What to type; none where it would have to name too many tenants.
    pub(super) fn typed(&self, failed: &[&Target]) -> Option<String> {
        let whom = if self.relative {
            let names: Vec<_> = failed.iter().map(|t| quoted(t.schema.as_str())).collect();
            (names.len() <= NAMES).then(|| Some(names.join(",")))?
        } else {
            self.selector.map(str::to_owned)
        };
        let words = [
            Some("tenantry".to_owned()),
            Some(self.command.to_owned()),
            whom.map(|whom| for_shell(&whom)),
            Some(self.arguments.trim().to_owned()),
        ];
        let words: Vec<_> = words
            .into_iter()
            .flatten()
            .filter(|word| !word.is_empty())
            .collect();
        Some(words.join(" "))
    }
}

/// A name as selectors take it.
fn quoted(name: &str) -> String {
    if name.chars().all(is_plain) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// A word as shells take it.
fn for_shell(word: &str) -> String {
    if word.chars().all(|c| is_plain(c) || ",:=".contains(c)) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn is_plain(char: char) -> bool {
    char.is_alphanumeric() || "_-.".contains(char)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sql::Ident, tenant::ShardName};

    fn target(name: &str) -> Target {
        Target {
            shard: ShardName::new("main"),
            schema: Ident::new(name).unwrap(),
        }
    }

    #[test]
    fn what_counts_from_the_present_names_those_that_failed() {
        let retry = Retry {
            command: "down",
            selector: Some("--all"),
            arguments: "--steps 1".to_owned(),
            relative: true,
        };
        let (acme, strange) = (target("acme"), target("it's, \"big\""));
        let typed = retry.typed(&[&acme, &strange]).unwrap();
        assert_eq!(
            typed,
            r#"tenantry down 'acme,"it'\''s, ""big"""' --steps 1"#
        );
        assert_eq!(retry.typed(&[&acme; 9]), None);
    }

    #[test]
    fn what_has_a_fixed_goal_is_asked_for_again() {
        let retry = Retry {
            command: "up",
            selector: Some("label:tier=free,!acme"),
            arguments: String::new(),
            relative: false,
        };
        assert_eq!(
            retry.typed(&[]).unwrap(),
            "tenantry up 'label:tier=free,!acme'"
        );
    }
}
