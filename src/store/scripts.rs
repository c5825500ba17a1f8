//! `tenantry.scripts`: each text once a shard.

use super::StoreError;
use crate::{
    history::Applied,
    migration::{Checksum, Script},
    plan::Stored,
    postgres::{Answered, Connection},
};

/// Stores the texts that are not there yet. Must happen before a history row names them.
pub async fn put<'a>(
    connection: &mut Connection,
    scripts: impl IntoIterator<Item = &'a Script>,
) -> Result<(), StoreError> {
    let (checksums, bodies): (Vec<_>, Vec<_>) = scripts
        .into_iter()
        .map(|s| (s.checksum.as_bytes().to_vec(), s.text.to_string()))
        .unzip();
    sqlx::query(
        "insert into tenantry.scripts (checksum, body) select * from unnest($1::bytea[], $2::text[])
         on conflict do nothing",
    )
    .bind(checksums)
    .bind(bodies)
    .execute(connection)
    .answered(StoreError::query("store the scripts"))
    .await?;
    Ok(())
}

/// The texts of these checksums, in no order; what is not there is left out.
pub async fn get(
    connection: &mut Connection,
    checksums: &[Checksum],
) -> Result<Vec<(Checksum, String)>, StoreError> {
    let checksums: Vec<_> = checksums.iter().map(|c| c.as_bytes().to_vec()).collect();
    let rows: Vec<(Vec<u8>, String)> =
        sqlx::query_as("select checksum, body from tenantry.scripts where checksum = any($1)")
            .bind(checksums)
            .fetch_all(connection)
            .answered(StoreError::query("read the stored scripts"))
            .await?;
    rows.into_iter()
        .map(|(checksum, body)| Ok((super::heads::bytes(&checksum, "scripts")?.into(), body)))
        .collect()
}

/// The down texts of what is applied, as planning the way back needs them.
pub async fn downs(connection: &mut Connection, applied: &[Applied]) -> Result<Stored, StoreError> {
    let checksums: Vec<_> = applied.iter().filter_map(|a| a.down).collect();
    let texts = get(connection, &checksums).await?;
    Ok(texts
        .into_iter()
        .map(|(checksum, text)| (checksum, text.into()))
        .collect())
}
