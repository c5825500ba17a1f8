use crate::{
    doctor::{Check, Found, Looking, Patient},
    rehearse::leftovers,
    sql::Ident,
};

/// Copies that a rehearsal could not drop any more.
#[derive(Debug, Clone, Copy)]
pub struct LeftoverCopies;

impl Check for LeftoverCopies {
    fn name(&self) -> &'static str {
        "leftover-copies"
    }

    fn looks_at(&self) -> &'static str {
        "copies of tenants that `tenantry rehearse --in-place` left behind when it was killed"
    }

    fn why(&self) -> &'static str {
        "they take room, and hold a tenant's rows where nobody looks for them"
    }

    fn look<'a>(&'a self, patient: &'a mut Patient<'_>) -> Looking<'a> {
        Box::pin(async move {
            let copies = leftovers(patient.connection()).await?;
            if copies.is_empty() {
                return Ok(vec![Found::ok("none")]);
            }
            let found = copies.into_iter().filter_map(|copy| {
                let schema = Ident::new(&copy.schema).ok()?;
                let what = format!("{} is a copy that nobody works on", copy.schema);
                Some(Found::warning(
                    what,
                    format!("DROP SCHEMA {schema} CASCADE;"),
                ))
            });
            Ok(found.collect())
        })
    }
}
