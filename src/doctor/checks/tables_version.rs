use crate::doctor::{Check, Found, Looking, Patient};
use crate::store::{Installed, Part, state};

/// Our own tables' version.
#[derive(Debug, Clone, Copy)]
pub struct TablesVersion;

impl Check for TablesVersion {
    fn name(&self) -> &'static str {
        "tables-version"
    }

    fn looks_at(&self) -> &'static str {
        "the version of tenantry's own tables"
    }

    fn why(&self) -> &'static str {
        "an older program must not write what it does not know"
    }

    fn look<'a>(&'a self, patient: &'a mut Patient<'_>) -> Looking<'a> {
        Box::pin(async move {
            let parts = [
                (patient.is_shard, Part::Shard),
                (patient.is_home, Part::Home),
            ];
            let mut found = Vec::new();
            for (_, part) in parts.into_iter().filter(|(is_there, _)| *is_there) {
                let name = if part == Part::Shard { "shard" } else { "home" };
                let Installed { present, known } = match state(patient.connection(), part).await {
                    Ok(installed) => installed,
                    // Rights that are missing have a check of their own.
                    Err(_) => continue,
                };
                found.push(if present > known {
                    Found::error(
                        format!("the {name} tables are at {present}, this program knows {known}"),
                        "use the newer tenantry",
                    )
                } else if present == 0 {
                    Found::note(
                        format!("the {name} tables are not there yet"),
                        "nothing: the first `tenantry up` makes them",
                    )
                } else if present < known {
                    Found::note(
                        format!("the {name} tables are at {present}, this program brings {known}"),
                        "nothing: the next `tenantry up` brings them up",
                    )
                } else {
                    Found::ok(format!("{name} {present}"))
                });
            }
            Ok(found)
        })
    }
}
