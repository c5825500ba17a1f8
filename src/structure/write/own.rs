//! Statements that name the schema itself, for the few names that PostgreSQL would else find among its own. How the schema is
//! called is known only where they are run.

use crate::{
    sql::{Literal, NulByte},
    structure::unqualified::{OWN, token_length},
};

/// The statement as it is; where it names the schema, one that makes it and runs it.
pub(super) fn with_name(statement: String) -> Result<String, NulByte> {
    let (mut format, mut rest, mut any) = (String::new(), statement.as_str(), false);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(OWN) {
            format += "%1$I";
            (rest, any) = (after, true);
        } else {
            let (token, after) = rest.split_at(token_length(rest));
            format += &token.replace('%', "%%");
            rest = after;
        }
    }
    if !any {
        return Ok(statement);
    }
    let mut tag = "$do$".to_owned();
    while format.contains(&tag) {
        tag.insert(1, '_');
    }
    let format = Literal::new(&format)?;
    Ok(format!(
        "DO {tag} BEGIN EXECUTE pg_catalog.format({format}, pg_catalog.current_schema()); END {tag}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schemas_name_is_put_in_where_the_statement_is_run() {
        let plain = r#"COMMENT ON TABLE "<schema>" IS '<schema> 5 %'"#.to_owned();
        assert_eq!(with_name(plain.clone()).unwrap(), plain);
        let own = "COMMENT ON TYPE <schema>.\"$do$\" IS '5 % of <schema>'".to_owned();
        assert_eq!(
            with_name(own).unwrap(),
            "DO $_do$ BEGIN EXECUTE pg_catalog.format('COMMENT ON TYPE %1$I.\"$do$\" IS ''5 %% of <schema>''', \
             pg_catalog.current_schema()); END $_do$"
        );
    }
}
