//! Text from files and servers, so that it tells a terminal nothing: whoever may comment on a table must not command it.

use std::borrow::Cow;

/// The text with control characters written out, such as `\u{1b}`. Line breaks and tabs stay, and colours where `is_painted`.
pub(super) fn harmless(text: &str, is_painted: bool) -> Cow<'_, str> {
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut told = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_harmful) {
        told.push_str(&rest[..at]);
        rest = &rest[at..];
        let color = if is_painted { color(rest) } else { None };
        let end = color.unwrap_or_else(|| rest.chars().next().map_or(0, char::len_utf8));
        match color {
            Some(_) => told.push_str(&rest[..end]),
            None => told.extend(rest[..end].chars().flat_map(char::escape_default)),
        }
        rest = &rest[end..];
    }
    told.push_str(rest);
    Cow::Owned(told)
}

fn is_harmful(character: char) -> bool {
    character.is_control() && !matches!(character, '\n' | '\t')
}

/// How many bytes the sequence at the start takes, if it is one that only makes letters bold, faint or coloured.
fn color(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let (parameters, _) = parameters.split_once('m')?;
    let is_letters = |parameter: &str| {
        parameter.is_empty()
            || matches!(
                parameter.parse::<u8>(),
                Ok(0..=4 | 22..=24 | 30..=37 | 39 | 90..=97)
            )
    };
    // One of 256 colours.
    let is_indexed = parameters
        .strip_prefix("38;5;")
        .is_some_and(|index| index.parse::<u8>().is_ok());
    let is_color = is_indexed || parameters.split(';').all(is_letters);
    is_color.then(|| "\u{1b}[m".len() + parameters.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        for (text, told) in [
            ("größe\n\t☃", "größe\n\t☃"),
            ("a\u{1b}[2Jb\u{7}", "a\\u{1b}[2Jb\\u{7}"),
            ("a\rb\u{9b}8m\u{7f}", "a\\rb\\u{9b}8m\\u{7f}"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            (
                "\u{1b}[8m\u{1b}[0;8m\u{1b}[41m",
                "\\u{1b}[8m\\u{1b}[0;8m\\u{1b}[41m",
            ),
            ("\u{1b}[1", "\\u{1b}[1"),
        ] {
            assert_eq!(harmless(text, false), told);
            assert_eq!(harmless(text, true), told);
        }
    }

    #[test]
    fn colours_stay_where_there_are_any() {
        let painted = "\u{1b}[1m\u{1b}[31mno\u{1b}[0m \u{1b}[38;5;9mno\u{1b}[39m";
        assert_eq!(harmless(painted, true), painted);
        assert!(!harmless(painted, false).contains('\u{1b}'));
    }
}
