use crate::{
    doctor::{Check, Found, Looking, Patient},
    store::pool,
};

/// The schemas that are built ahead.
#[derive(Debug, Clone, Copy)]
pub struct Pool;

impl Check for Pool {
    fn name(&self) -> &'static str {
        "pool"
    }

    fn looks_at(&self) -> &'static str {
        "schemas that are built ahead for new tenants"
    }

    fn why(&self) -> &'static str {
        "without one that is ready, a new tenant waits for its migrations"
    }

    fn look<'a>(&'a self, patient: &'a mut Patient<'_>) -> Looking<'a> {
        Box::pin(async move {
            let settings = &patient.fleet.provision;
            let (least, most) = (settings.pool_min, settings.pool_max);
            if !patient.is_shard || !patient.has_tables {
                return Ok(Vec::new());
            }
            if most == 0 {
                return Ok(vec![Found::ok("none is asked for")]);
            }
            if !patient.fleet.limits.also_writes.is_empty() {
                return Ok(vec![Found::note(
                    "nobody is built ahead, as migrations.also_writes names schemas that tenants' scripts write to",
                    "set provision.pool_max to 0, or leave migrations.also_writes empty",
                )]);
            }
            let counted = pool::count(patient.connection()).await;
            // Tables that are older than this program have a check of their own.
            let Ok((ready, all)) = counted else {
                return Ok(Vec::new());
            };
            let text = format!("{ready} of {all} are ready");
            Ok(vec![if ready >= i64::from(least) {
                Found::ok(text)
            } else {
                Found::note(
                    format!("{text}, which is less than {least}"),
                    "`tenantry serve` with these migrations builds them; its log says what is in the way",
                )
            }])
        })
    }
}
