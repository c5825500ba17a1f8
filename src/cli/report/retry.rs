//! How to ask again for what failed.

use super::Work;
use crate::tenant::Target;

/// The command that was given, as far as it has to be typed again.
#[derive(Debug)]
pub(in crate::cli) struct Retry<'a> {
    pub(in crate::cli) command: String,
    /// The selector that was given, or what stood in its place.
    pub(in crate::cli) selector: Option<&'a str>,
    /// The rest of it, without what every trip takes.
    pub(in crate::cli) arguments: String,
    /// The goal is counted from where a tenant stands: those that have moved would move again.
    pub(in crate::cli) relative: bool,
    /// What it does with each migration.
    pub(in crate::cli) work: Work,
}

/// Stands where a selector would, and cannot be joined with one.
const ALL: &str = "--all";

/// More names than this are no command line any more.
const NAMES: usize = 8;

impl Retry<'_> {
    /// What to type; none where it would have to name too many tenants.
    pub(super) fn typed(&self, failed: &[&Target]) -> Option<String> {
        let whom = if self.relative {
            Some(names(failed, "")?)
        } else {
            self.selector.map(str::to_owned)
        };
        Some(self.command_line(whom))
    }

    /// What to type for those that were not begun, so that those that failed are in nobody's way; none where it would have
    /// to name too many tenants.
    pub(super) fn others(&self, failed: &[&Target], not_begun: &[&Target]) -> Option<String> {
        let whom = if self.relative {
            names(not_begun, "")?
        } else {
            let failed = names(failed, "!")?;
            match self.selector.filter(|selector| *selector != ALL) {
                Some(selector) => format!("{selector},{failed}"),
                None => failed,
            }
        };
        Some(self.command_line(Some(whom)))
    }

    fn command_line(&self, whom: Option<String>) -> String {
        let words = [
            Some("tenantry".to_owned()),
            Some(self.command.clone()),
            whom.map(|whom| for_shell(&whom)),
            Some(self.arguments.trim().to_owned()),
        ];
        let words: Vec<_> = words
            .into_iter()
            .flatten()
            .filter(|word| !word.is_empty())
            .collect();
        words.join(" ")
    }
}

/// The tenants' names as a selector, each of them after `mark`; none where they are too many.
fn names(targets: &[&Target], mark: &str) -> Option<String> {
    let name = |target: &&Target| format!("{mark}{}", quoted(target.schema.as_str()));
    let names: Vec<_> = targets.iter().map(name).collect();
    (names.len() <= NAMES).then(|| names.join(","))
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
pub(in crate::cli) fn for_shell(word: &str) -> String {
    if word.chars().all(|c| is_plain(c) || ",:=/".contains(c)) {
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
            command: "down".to_owned(),
            selector: Some("--all"),
            arguments: "--steps 1".to_owned(),
            relative: true,
            work: Work::Once,
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
    fn the_others_go_first() {
        let mut retry = Retry {
            command: "goto 7".to_owned(),
            selector: None,
            arguments: "--max-failures 1".to_owned(),
            relative: false,
            work: Work::Once,
        };
        let (acme, blue) = (target("acme"), target("blue"));
        let others = |retry: &Retry<'_>| retry.others(&[&acme, &blue], &[&acme]).unwrap();
        let excluded = "tenantry goto 7 '!acme,!blue' --max-failures 1";
        assert_eq!(others(&retry), excluded);
        retry.selector = Some("--all");
        assert_eq!(others(&retry), excluded);
        retry.selector = Some("a*");
        assert_eq!(
            others(&retry),
            "tenantry goto 7 'a*,!acme,!blue' --max-failures 1"
        );
        retry.relative = true;
        assert_eq!(others(&retry), "tenantry goto 7 acme --max-failures 1");
    }

    #[test]
    fn what_has_a_fixed_goal_is_asked_for_again() {
        let retry = Retry {
            command: "up".to_owned(),
            selector: Some("label:tier=free,!acme"),
            arguments: String::new(),
            relative: false,
            work: Work::Once,
        };
        assert_eq!(
            retry.typed(&[]).unwrap(),
            "tenantry up 'label:tier=free,!acme'"
        );
    }
}
