//! Everything that can be wrong with files is refused in the very words that stand beside its fixture.

use tenantry::migration::{CODES, Problem};

use crate::fixtures::Case;

#[test]
fn every_code_is_refused_in_its_words() {
    let cases = Case::all("refusals");
    for code in CODES {
        let named = format!("{}-{}", code.id, code.slug);
        assert!(
            cases.iter().any(|case| case.name == named),
            "no fixture {named}"
        );
    }
    let mut different = Vec::new();
    for case in cases {
        let problems: Vec<Problem> = match case.read() {
            Ok(set) => set.problems().cloned().collect(),
            Err(problems) => problems.as_slice().to_vec(),
        };
        let messages: Vec<_> = problems.iter().map(Problem::to_string).collect();
        let (code, _) = case.name.split_once('-').unwrap();
        assert!(!problems.is_empty(), "{} was taken", case.name);
        assert!(
            problems.iter().all(|p| p.code.id == code),
            "{}: {messages:#?}",
            case.name
        );
        different.extend(case.compare(&messages.join("\n\n")));
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
