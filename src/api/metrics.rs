//! `/metrics`: figures for Prometheus, for whoever has the token.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, header::AUTHORIZATION},
    response::{IntoResponse, Response},
};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::Problem;
use crate::{
    fleet::Fleet,
    store::overview::overview,
    telemetry::metrics::{self, DAEMONS, ROLLOUT, ROLLOUT_RUNS, TENANTS},
};

/// What `/metrics` looks at, and whom it answers.
#[derive(Debug, Clone)]
pub struct Figures {
    /// Where the home database is.
    pub fleet: Arc<Fleet>,
    /// What has to be shown; none where nobody is answered.
    pub token: Option<Arc<SecretString>>,
}

pub(super) async fn figures(
    State(figures): State<Figures>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Some(token) = &figures.token else {
        return Err(Problem::not_found());
    };
    let shown = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let shown = shown.and_then(|value| value.strip_prefix("Bearer "));
    if !shown.is_some_and(|shown| is_same(shown, token.expose_secret())) {
        return Err(Problem::unauthorized());
    }
    // What this process counted is told all the same.
    if let Err(error) = look(&figures.fleet).await {
        tracing::warn!("the home database cannot be asked for its figures: {error}");
    }
    let text = metrics::figures().render();
    let kind = [("content-type", "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, text).into_response())
}

/// Compares hashes, so that the time it takes says nothing of how far a guess is right.
fn is_same(shown: &str, token: &str) -> bool {
    Sha256::digest(shown) == Sha256::digest(token)
}

async fn look(fleet: &Fleet) -> Result<(), crate::fleet::FleetError> {
    let mut home = fleet.home().await?;
    let counts = overview(home.connection()).await?;
    home.close().await;
    for count in counts {
        match count.what.as_str() {
            "daemons" => metrics::observe_all(DAEMONS, count.count),
            "tenants" => metrics::observe(TENANTS, ("state", count.state), count.count),
            "runs" => metrics::observe(ROLLOUT_RUNS, ("state", count.state), count.count),
            _ => metrics::observe(ROLLOUT, ("state", count.state), count.count),
        }
    }
    Ok(())
}
