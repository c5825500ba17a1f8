//! What the daemon answers over HTTP: one file a resource.
//!
//! What is open to everybody tells nothing but whether the daemon is well. Everything else is for a token to open, and
//! there is nothing else yet.

mod health;
mod problem;

pub use health::Readiness;
pub use problem::Problem;

use axum::{Router, routing::get};

/// All resources.
pub fn router(readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || Problem::not_found())
        .with_state(readiness)
}
