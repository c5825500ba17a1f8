//! The texts of a version as they were applied, for whoever has to put a file back.

use serde::Serialize;

use crate::{
    cli::{context::Context, error::CliError, exit::ExitCode, human, paint::Paint},
    fleet::Fleet,
    migration::{Scope, Version},
    travel::{StoredTexts, Survey, stored_texts},
};

/// Shows the texts of a version as they were applied.
pub(super) async fn restore(
    context: &Context<'_>,
    fleet: &Fleet,
    survey: &Survey,
    version: Version,
) -> Result<ExitCode, CliError> {
    let texts = stored_texts(fleet, survey, version).await?;
    if texts.is_empty() {
        let message = format!("{version} is applied nowhere: there is no text of it");
        return Err(CliError::Usage(message));
    }
    let restored = Restored {
        version,
        texts: texts.iter().map(restored_text).collect(),
    };
    context.output.result(&restored, |paint| {
        let texts: Vec<_> = texts.iter().map(|texts| text(texts, paint)).collect();
        texts.join("\n")
    });
    Ok(ExitCode::Done)
}

#[derive(Serialize)]
struct Restored<'a> {
    version: Version,
    texts: Vec<RestoredText<'a>>,
}

#[derive(Serialize)]
struct RestoredText<'a> {
    scope: Scope,
    name: &'a str,
    targets: usize,
    up_checksum: String,
    up: Option<&'a str>,
    down_checksum: Option<String>,
    down: Option<&'a str>,
}

fn restored_text(texts: &StoredTexts) -> RestoredText<'_> {
    RestoredText {
        scope: texts.scope,
        name: &texts.applied.name,
        targets: texts.targets,
        up_checksum: texts.applied.up.to_string(),
        up: texts.up.as_deref(),
        down_checksum: texts.applied.down.map(|down| down.to_string()),
        down: texts.down.as_deref(),
    }
}

/// Headed by comments, so that the whole of it is SQL still.
fn text(texts: &StoredTexts, paint: Paint) -> String {
    let (applied, mut lines) = (&texts.applied, String::new());
    let whom = human::count(texts.targets, "schema", "schemas");
    for (direction, checksum, text) in [
        ("up", Some(applied.up), &texts.up),
        ("down", applied.down, &texts.down),
    ] {
        let Some(checksum) = checksum else { continue };
        let heading = format!(
            "-- {}-{}.{direction}.sql ({} scope, {whom}, checksum {})",
            applied.version,
            applied.name,
            texts.scope,
            checksum.short()
        );
        let body = text
            .as_deref()
            .unwrap_or("-- missing from tenantry.scripts");
        lines.push_str(&format!("{}\n{}\n", paint.faint(heading), body.trim_end()));
    }
    lines
}
