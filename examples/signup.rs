//! A web application that carries its own fleet: it is up to date before the first request, and who signs up has a schema
//! when the answer comes. The migrations are inside the program, so it can be copied to wherever it runs.
//!
//!     DATABASE_URL=postgres://localhost/shop cargo run --example signup
//!     curl -X POST http://127.0.0.1:8080/companies/acme

use std::{error::Error, sync::Arc};

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::post,
};
use rust_embed::RustEmbed;
use tenantry::{
    AddError, Fleet, Settings,
    migration::{MigrationSet, Scope, read_embedded},
    provision::ProvisionError,
};
use tokio::net::TcpListener;

#[derive(RustEmbed)]
#[folder = "migrations"]
struct SharedMigrations;

#[derive(RustEmbed)]
#[folder = "tenant_migrations"]
struct TenantMigrations;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let url = std::env::var("DATABASE_URL")?;
    serve(&url, TcpListener::bind("127.0.0.1:8080").await?).await
}

/// Takes every schema to the version that this program knows, then answers requests.
pub(crate) async fn serve(
    url: &str,
    listener: TcpListener,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let shared = embedded::<SharedMigrations>(Scope::Shared)?;
    let tenant = embedded::<TenantMigrations>(Scope::Tenant)?;
    let fleet = Fleet::with_sets(&Settings::at(url)?, shared, tenant)?;
    fleet.up().await?.complete()?;
    let app = Router::new()
        .route("/companies/{name}", post(sign_up))
        .with_state(Arc::new(fleet));
    Ok(axum::serve(listener, app).await?)
}

/// A new company: it can be used when this answers.
async fn sign_up(
    State(fleet): State<Arc<Fleet>>,
    Path(name): Path<String>,
) -> (StatusCode, String) {
    match fleet.add(&name).await {
        Ok(tenant) => (StatusCode::CREATED, format!("welcome, {}", tenant.name)),
        Err(AddError::Provision(error @ ProvisionError::Taken(_))) => {
            (StatusCode::CONFLICT, error.to_string())
        }
        Err(AddError::Name(error)) => (StatusCode::BAD_REQUEST, error.to_string()),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

fn embedded<Files: RustEmbed>(scope: Scope) -> Result<MigrationSet, tenantry::migration::Problems> {
    let files = Files::iter().filter_map(|name| Some((name.to_string(), Files::get(&name)?.data)));
    read_embedded(scope, files)
}
