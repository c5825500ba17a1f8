use crate::{
    doctor::{Check, Found, Looking, Patient},
    postgres::SessionError,
};

/// A pooler in the way.
#[derive(Debug, Clone, Copy)]
pub struct Pooler;

impl Check for Pooler {
    fn name(&self) -> &'static str {
        "pooler"
    }

    fn looks_at(&self) -> &'static str {
        "whether a pooler is on the way, and whether `direct_url` leads past it"
    }

    fn why(&self) -> &'static str {
        "through a transaction pooler go transactions only; what needs a session of its own has to go past it"
    }

    fn look<'a>(&'a self, patient: &'a mut Patient<'_>) -> Looking<'a> {
        Box::pin(async move {
            if !patient.session.is_pooled() {
                return Ok(vec![Found::ok("no pooler")]);
            }
            Ok(vec![match patient.shard.connect_directly().await {
                Ok(session) => {
                    session.close().await;
                    Found::ok("a pooler, and a way past it (`direct_url`)")
                }
                Err(SessionError::Pooled { setting, table, .. }) => Found::warning(
                    format!("a pooler is between (`{setting}`), and there is no way past it"),
                    format!("set `{table}.direct_url` to a URL that leads straight to the server"),
                ),
                Err(error) => Found::warning(
                    format!(
                        "a pooler is between, and the way past it does not lead there: {error}"
                    ),
                    "let `direct_url` lead straight to the same database",
                ),
            }])
        })
    }
}
