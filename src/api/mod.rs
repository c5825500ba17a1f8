//! What the daemon answers over HTTP: one file a resource.
//!
//! What is open to everybody tells nothing but whether the daemon is well. Everything else is for a token to open.

mod health;
mod metrics;
mod problem;

pub use health::Readiness;
pub use metrics::Figures;
pub use problem::Problem;

use axum::{Router, routing::get};

/// All resources.
pub fn router(readiness: Readiness, figures: Figures) -> Router {
    let figures = Router::new()
        .route("/metrics", get(metrics::figures))
        .with_state(figures);
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || Problem::not_found())
        .with_state(readiness)
        .merge(figures)
}
