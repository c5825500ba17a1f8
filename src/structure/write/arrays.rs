//! Lists of constants, as in `status IN ('new', 'paid')`.
//!
//! PostgreSQL keeps such a list as an array of `varchar` that is cast as a whole, and writes that as
//! `(ARRAY['new'::character varying, …])::text[]`. Read again, the cast would go to each of its parts instead, and another
//! text would come back. A cast of the array to what it is already keeps the two apart.

use crate::structure::unqualified::token_length;

/// The text, with such a cast in every array that needs it.
pub(super) fn kept_whole(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(array) = rest.strip_prefix("ARRAY[")
            && let Some((inside, after)) = inside_of(array)
            && (after.starts_with("])::") || after.starts_with("]::"))
            && let Some(of) = type_of(inside)
        {
            kept += &format!("ARRAY[{inside}]::{of}[]");
            rest = &after[1..];
        } else {
            let (token, after) = rest.split_at(token_length(rest));
            kept += token;
            rest = after;
        }
    }
    kept
}

/// What stands before the bracket that closes the array, and what follows from there.
fn inside_of(text: &str) -> Option<(&str, &str)> {
    let (mut at, mut depth) = (0, 0_u32);
    while at < text.len() {
        match text.as_bytes()[at] {
            b']' if depth == 0 => return Some(text.split_at(at)),
            b'[' | b'(' => depth += 1,
            b']' | b')' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        at += token_length(&text[at..]);
    }
    None
}

/// The type that all parts of a list have, where each of them shows it.
fn type_of(inside: &str) -> Option<&str> {
    let mut types = parts(inside).into_iter().map(type_of_one);
    let first = types.next()??;
    types.all(|other| other == Some(first)).then_some(first)
}

fn parts(inside: &str) -> Vec<&str> {
    let (mut parts, mut start, mut at, mut depth) = (Vec::new(), 0, 0, 0_i32);
    while at < inside.len() {
        match inside.as_bytes()[at] {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(inside[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
        at += token_length(&inside[at..]);
    }
    parts.push(inside[start..].trim());
    parts
}

/// The type of a constant: the one it is cast to, or that of a number.
fn type_of_one(part: &str) -> Option<&str> {
    if let Some(literal) = part.strip_prefix('\'') {
        let (_, of) = literal.rsplit_once("'::")?;
        return Some(of);
    }
    if part.parse::<i32>().is_ok() {
        return Some("integer");
    }
    if part.parse::<i64>().is_ok() {
        return Some("bigint");
    }
    let is_number = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    is_number.then_some("numeric")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_that_is_cast_as_a_whole_stays_so() {
        let check = "CHECK (((status)::text = ANY ((ARRAY['new'::character varying, 'a, ]b'::character varying])::text[])))";
        assert_eq!(
            kept_whole(check),
            "CHECK (((status)::text = ANY ((ARRAY['new'::character varying, 'a, ]b'::character varying]::character varying[])::text[])))"
        );
        assert_eq!(
            kept_whole("n = ANY ((ARRAY[1, '-2'::integer])::numeric[])"),
            "n = ANY ((ARRAY[1, '-2'::integer]::integer[])::numeric[])"
        );
        // As it stands in triggers and rules.
        assert_eq!(
            kept_whole("n <> ALL (ARRAY[1, 2]::numeric[])"),
            "n <> ALL (ARRAY[1, 2]::integer[]::numeric[])"
        );
    }

    #[test]
    fn other_texts_stay_as_they_are() {
        for text in [
            "a = ANY (ARRAY[('x'::character varying)::text])",
            "'(ARRAY[1])::numeric[]'::text",
            "(ARRAY[a, b])::text[]",
            "ARRAY[]::text[]",
            "(ARRAY[1, 2.5])::double precision[]",
            "(ARRAY[",
            "ü(ARRAY[ü",
        ] {
            assert_eq!(kept_whole(text), text);
        }
    }
}
