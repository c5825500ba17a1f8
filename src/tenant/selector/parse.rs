//! Reading selectors.

use std::{io, path::Path};

use super::{Comparison, Mark, Selector, SelectorError, Term};

/// Reads a whole selector.
pub(super) fn selector(
    text: &str,
    read: &dyn Fn(&Path) -> io::Result<String>,
) -> Result<Selector, SelectorError> {
    let mut selector = Selector {
        include: Vec::new(),
        exclude: Vec::new(),
    };
    let wrong = |slip: Slip| slip.of(text);
    for word in words(text).map_err(wrong)? {
        let (excluded, word) = word.without_mark('!');
        let term = match word.term().map_err(wrong)? {
            Parsed::Term(term) => term,
            Parsed::File(file) => names(file, read)?,
        };
        if excluded {
            selector.exclude.push(term);
        } else {
            selector.include.push(term);
        }
    }
    Ok(selector)
}

/// A term, or the file that one has to be read from.
enum Parsed {
    Term(Term),
    File(String),
}

/// One name a line; blank lines and what follows a `#` at a line's start are left out.
fn names(file: String, read: &dyn Fn(&Path) -> io::Result<String>) -> Result<Term, SelectorError> {
    let text = match read(Path::new(&file)) {
        Ok(text) => text,
        Err(source) => return Err(SelectorError::File { file, source }),
    };
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let names = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(Term::Names(names.map(str::to_owned).collect()))
}

/// Something wrong at a character, counted from 0.
struct Slip {
    at: usize,
    reason: String,
}

impl Slip {
    fn new(at: usize, reason: impl Into<String>) -> Self {
        Self {
            at,
            reason: reason.into(),
        }
    }

    fn of(self, text: &str) -> SelectorError {
        SelectorError::Syntax {
            selector: text.to_owned(),
            reason: self.reason,
            position: self.at + 1,
        }
    }
}

/// A character of a selector; one in quotes means itself.
#[derive(Debug, Clone, Copy)]
struct Letter {
    char: char,
    quoted: bool,
    at: usize,
}

impl Letter {
    fn is(self, mark: char) -> bool {
        self.char == mark && !self.quoted
    }
}

/// What stands between two commas.
struct Word {
    letters: Vec<Letter>,
    /// Where it starts.
    at: usize,
    /// Whether quotes made it, which may hold nothing.
    quoted: bool,
}

/// Cuts a text at its commas, and takes the quotes away.
fn words(text: &str) -> Result<Vec<Word>, Slip> {
    let mut words = Vec::new();
    let mut word = Word::new(0);
    let mut chars = text.chars().enumerate().peekable();
    let mut opened = None;
    while let Some((at, char)) = chars.next() {
        match (char, opened) {
            ('"', Some(_)) if chars.next_if(|(_, next)| *next == '"').is_some() => {
                word.push(char, true, at);
            }
            ('"', Some(_)) => opened = None,
            ('"', None) => {
                opened = Some(at);
                word.quoted = true;
            }
            (_, Some(_)) => word.push(char, true, at),
            (',', None) => words.push(std::mem::replace(&mut word, Word::new(at + 1))),
            // Blanks around a comma; inside a name they count.
            (' ', None) if word.letters.is_empty() && !word.quoted => {}
            (_, None) => word.push(char, false, at),
        }
    }
    if let Some(at) = opened {
        return Err(Slip::new(at, "the quote that opens here is never closed"));
    }
    words.push(word);
    for word in &mut words {
        while word.letters.last().is_some_and(|letter| letter.is(' ')) {
            word.letters.pop();
        }
    }
    Ok(words)
}

impl Word {
    fn new(at: usize) -> Self {
        Self {
            letters: Vec::new(),
            at,
            quoted: false,
        }
    }

    fn push(&mut self, char: char, quoted: bool, at: usize) {
        self.letters.push(Letter { char, quoted, at });
    }

    fn without_mark(mut self, mark: char) -> (bool, Self) {
        let marked = self.letters.first().is_some_and(|letter| letter.is(mark));
        if marked {
            self.letters.remove(0);
            self.at += 1;
        }
        (marked, self)
    }

    fn term(self) -> Result<Parsed, Slip> {
        if self.letters.is_empty() {
            return Err(Slip::new(
                self.at,
                "a tenant is missing here: name one, or take the comma away",
            ));
        }
        let kind = text(
            self.letters
                .iter()
                .take_while(|l| !l.quoted && l.char.is_ascii_alphabetic()),
        );
        let rest = &self.letters[kind.len()..];
        let Some(mark) = rest.first().filter(|letter| !letter.quoted) else {
            return Ok(Parsed::Term(self.name()));
        };
        let value = &rest[1..];
        match (kind.as_str(), mark.char) {
            ("version", '<' | '>' | '=') => version(mark.char, value, mark.at).map(Parsed::Term),
            (_, ':') => {
                if value.is_empty() {
                    return Err(Slip::new(
                        mark.at,
                        format!("something has to follow `{kind}:`"),
                    ));
                }
                of_kind(&kind, value, self.at)
            }
            _ => self.checked_name().map(Parsed::Term),
        }
    }

    /// A name or a glob, in which marks that mean something elsewhere are refused.
    fn checked_name(self) -> Result<Term, Slip> {
        let strange = self
            .letters
            .iter()
            .find(|l| !l.quoted && ":<>=!".contains(l.char));
        match strange {
            None => Ok(self.name()),
            Some(letter) => Err(Slip::new(
                letter.at,
                format!(
                    "`{}` cannot stand in a bare name: put the name in double quotes",
                    letter.char
                ),
            )),
        }
    }

    fn name(self) -> Term {
        if self.letters.iter().any(|l| l.is('*') || l.is('?')) {
            let mark = |letter: &Letter| match letter.char {
                '*' if !letter.quoted => Mark::Any,
                '?' if !letter.quoted => Mark::One,
                char => Mark::Char(char),
            };
            Term::Glob(self.letters.iter().map(mark).collect())
        } else {
            Term::Name(text(&self.letters))
        }
    }
}

/// `label:`, `shard:`, `file:` and `percent:`.
fn of_kind(kind: &str, value: &[Letter], at: usize) -> Result<Parsed, Slip> {
    Ok(Parsed::Term(match kind {
        "label" => {
            let Some(equals) = value.iter().position(|letter| letter.is('=')) else {
                let reason = "a label is written as label:key=value";
                return Err(Slip::new(value[0].at, reason));
            };
            Term::Label(text(&value[..equals]), text(&value[equals + 1..]))
        }
        "shard" => Term::Shard(text(value)),
        "percent" => Term::Percent(hundredths(&text(value)).ok_or_else(|| {
            let reason = "a share is a number from 0 to 100, such as percent:5 or percent:0.5";
            Slip::new(value[0].at, reason)
        })?),
        "file" => return Ok(Parsed::File(text(value))),
        _ => {
            let reason = format!(
                "there is no `{kind}:`, only label:, shard:, version, file: and percent:; put a name that has \
                 a colon in double quotes"
            );
            return Err(Slip::new(at, reason));
        }
    }))
}

fn version(mark: char, value: &[Letter], at: usize) -> Result<Term, Slip> {
    let (or_equal, digits) = match value.split_first() {
        Some((next, digits)) if next.is('=') && mark != '=' => (true, digits),
        _ => (false, value),
    };
    let comparison = match (mark, or_equal) {
        ('<', false) => Comparison::Less,
        ('<', true) => Comparison::LessOrEqual,
        ('>', false) => Comparison::Greater,
        ('>', true) => Comparison::GreaterOrEqual,
        _ => Comparison::Equal,
    };
    let digits = text(digits);
    // As for the versions of migrations: what has 38 digits always fits.
    let is_version =
        (1..=38).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse() {
        Ok(number) if is_version => Ok(Term::Version(comparison, number)),
        _ => Err(Slip::new(
            at + 1,
            "a version of 1 to 38 digits is expected here",
        )),
    }
}

/// Hundredths of a percent: whole digits, and at most two after the point.
fn hundredths(percent: &str) -> Option<u16> {
    let (whole, part) = percent.split_once('.').unwrap_or((percent, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 2 {
        return None;
    }
    let part = format!("{part:0<2}");
    let hundredths = whole
        .parse::<u16>()
        .ok()?
        .checked_mul(100)?
        .checked_add(part.parse().ok()?)?;
    (hundredths <= 10_000).then_some(hundredths)
}

fn text<'a>(letters: impl IntoIterator<Item = &'a Letter>) -> String {
    letters.into_iter().map(|letter| letter.char).collect()
}
