use crate::doctor::{Check, Found, Looking, Patient};
use jiff::{SignedDuration, Timestamp};

/// The server's clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// Where the time is asked here.
    pub now: fn() -> Timestamp,
    /// So much is no matter.
    pub apart: SignedDuration,
}

impl Check for Clock {
    fn name(&self) -> &'static str {
        "clock"
    }

    fn looks_at(&self) -> &'static str {
        "the difference between the clock here and the server's"
    }

    fn why(&self) -> &'static str {
        "times in logs here and in the histories there cannot be compared"
    }

    fn look<'a>(&'a self, patient: &'a mut Patient<'_>) -> Looking<'a> {
        Box::pin(async move {
            let asked = (self.now)();
            let there: jiff_sqlx::Timestamp = sqlx::query_scalar("select clock_timestamp()")
                .fetch_one(patient.connection())
                .await?;
            let took = (self.now)().duration_since(asked);
            let apart = there.to_jiff().duration_since(asked + took / 2);
            let value = format!("{} ms apart", apart.as_millis());
            Ok(vec![if apart.abs() > self.apart + took / 2 {
                Found::warning(value, "let both machines follow the same time server (NTP)")
            } else {
                Found::ok(value)
            }])
        })
    }
}
