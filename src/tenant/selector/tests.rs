use proptest::prelude::*;

use super::*;

const FLEET: [(&str, &str, &str, Option<u128>); 4] = [
    ("acme", "eu1", "free", Some(20260301000000)),
    ("acorn", "eu1", "paid", Some(20260201000000)),
    ("blue", "us1", "free", None),
    ("a,b *\"!", "us1", "paid", Some(20260301000000)),
];

fn parse(text: &str) -> Result<Selector, SelectorError> {
    Selector::parse(text, |file| match file.to_str() {
        Some("two.txt") => Ok("# two\nblue\r\n\n  acorn\n".to_owned()),
        _ => Err(io::ErrorKind::NotFound.into()),
    })
}

/// The names that a selector selects of [`FLEET`].
fn selected(text: &str) -> Vec<&'static str> {
    let selector = parse(text).unwrap();
    let matches = |&(name, shard, tier, version): &(&str, &str, &str, Option<u128>)| {
        let labels = [("tier".to_owned(), tier.to_owned())].into();
        selector.matches(&Candidate {
            name,
            shard,
            labels: &labels,
            version,
        })
    };
    FLEET
        .iter()
        .copied()
        .filter(matches)
        .map(|tenant| tenant.0)
        .collect()
}

#[test]
fn terms_select() {
    let strange = "a,b *\"!";
    for (text, names) in [
        ("acme", &["acme"][..]),
        ("ac*", &["acme", "acorn"]),
        ("?c*e", &["acme"]),
        ("*", &["acme", "acorn", "blue", strange]),
        ("label:tier=free", &["acme", "blue"]),
        ("shard:us1", &["blue", strange]),
        ("version<20260301000000", &["acorn", "blue"]),
        ("version<=20260201000000", &["acorn", "blue"]),
        ("version>20260201000000", &["acme", strange]),
        ("version>=20260201000000", &["acme", "acorn", strange]),
        ("version=20260201000000", &["acorn"]),
        ("file:two.txt", &["acorn", "blue"]),
        ("percent:100", &["acme", "acorn", "blue", strange]),
        ("percent:0", &[]),
        ("acme, blue", &["acme", "blue"]),
        ("ac*,!acorn", &["acme"]),
        ("!acorn,ac*", &["acme"]),
        ("!shard:us1", &["acme", "acorn"]),
        (r#""a,b *""!""#, &[strange]),
        (r#""a,b "*"#, &[strange]),
        (r#""*""#, &[]),
    ] {
        assert_eq!(selected(text), names, "{text}");
    }
}

#[test]
fn errors_have_a_position() {
    for (text, at, reason) in [
        ("", 1, "missing"),
        ("acme,,blue", 6, "missing"),
        ("acme,", 6, "missing"),
        ("!", 2, "missing"),
        ("acme,\"blue", 6, "never closed"),
        ("tier:free", 1, "no `tier:`"),
        ("acme,label:free", 12, "label:key=value"),
        ("shard:", 6, "follow `shard:`"),
        ("version<", 9, "1 to 38 digits"),
        ("version==1", 9, "1 to 38 digits"),
        ("version<1x", 9, "1 to 38 digits"),
        ("percent:101", 9, "0 to 100"),
        ("percent:0.125", 9, "0 to 100"),
        ("percent:+1", 9, "0 to 100"),
        ("a<b", 2, "double quotes"),
    ] {
        let error = parse(text).unwrap_err();
        let SelectorError::Syntax {
            position,
            reason: told,
            ..
        } = &error
        else {
            panic!("{text}: {error}");
        };
        assert_eq!(*position, at, "{text}: {error}");
        assert!(told.contains(reason), "{text}: {error}");
    }
    assert!(matches!(
        parse("file:none.txt"),
        Err(SelectorError::File { .. })
    ));
}

#[test]
fn names_that_nobody_has_are_refused() {
    let tenants = ["acme", "acorn", "blue"];
    let check = |text: &str| parse(text).unwrap().check_names(&tenants, &["main", "eu1"]);
    assert!(check("acme,z*,shard:eu1,!shard:main,file:two.txt").is_ok());
    for (text, message) in [
        ("acne", "no tenant acne; is it acme?"),
        ("ac", "no tenant ac; is it acme or acorn?"),
        ("!bleu", "no tenant bleu; is it blue?"),
        (
            "nothing",
            "no tenant nothing; `tenantry tenant list` names them all",
        ),
        ("shard:eu9", "no shard eu9; there are main, eu1"),
        ("!shard:eu9", "no shard eu9; there are main, eu1"),
    ] {
        assert_eq!(check(text).unwrap_err().to_string(), message);
    }
}

#[test]
fn a_share_is_about_as_large_as_it_says() {
    let names: Vec<_> = (0..2_000).map(|n| format!("tenant_{n}")).collect();
    let count = names.iter().filter(|name| lot(name) < 500).count();
    assert!((70..130).contains(&count), "{count}");
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = parse(&text);
    }

    #[test]
    fn a_quoted_name_means_itself(name in "[^\\x00]{1,20}", other in "[^\\x00]{1,20}") {
        let selector = parse(&format!("\"{}\"", name.replace('"', "\"\""))).unwrap();
        prop_assert!(selector.check_names(&[&name], &[]).is_ok());
        prop_assert_eq!(selector.check_names(&[&other], &[]).is_ok(), name == other);
    }

    #[test]
    fn a_star_stands_for_anything(before in "[a-z]{0,5}", middle in "[a-z]{0,9}", after in "[a-z]{0,5}") {
        let name = format!("{before}{middle}{after}");
        let marks: Vec<_> = before.chars().map(Mark::Char)
            .chain([Mark::Any])
            .chain(after.chars().map(Mark::Char))
            .collect();
        prop_assert!(glob(&marks, &name));
        let longer = name + "!";
        prop_assert_eq!(glob(&marks, &longer), after.is_empty());
    }

    #[test]
    fn a_bigger_share_holds_the_smaller(name in "[a-z]{1,12}", a in 0_u16..=10_000, b in 0_u16..=10_000) {
        let share = |hundredths: u16| lot(&name) < hundredths;
        prop_assert!(!share(a.min(b)) || share(a.max(b)));
        prop_assert!(share(10_000));
    }
}
