//! What makes the command at home on a machine and in a pipeline: completions, the manual, exit codes.

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

use crate::support::{Shop, tenantry, write_or_compare};

#[test]
fn completions_are_scripts_that_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = tenantry().args(["completions", shell]).output().unwrap();
        assert!(output.status.success(), "{shell}");
        let script = String::from_utf8(output.stdout).unwrap();
        for word in ["doctor", "retire", "output"] {
            assert!(script.contains(word), "{shell} knows no {word}");
        }
        if ["bash", "zsh", "fish"].contains(&shell) {
            is_sound(shell, &script);
        }
    }
    let json = tenantry()
        .args(["completions", "bash", "--output", "json"])
        .output()
        .unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["shell"], "bash");
    let unknown = tenantry().args(["completions", "dos"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
}

/// The shell itself reads the script, where it is installed; bash is everywhere.
fn is_sound(shell: &str, script: &str) {
    let spawned = Command::new(shell).arg("-n").stdin(Stdio::piped()).spawn();
    let mut reading = match spawned {
        Err(_) if shell != "bash" => return,
        spawned => spawned.unwrap(),
    };
    let mut stdin = reading.stdin.take().unwrap();
    stdin.write_all(script.as_bytes()).unwrap();
    drop(stdin);
    assert!(reading.wait().unwrap().success(), "{shell} cannot read it");
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("man");
    let output = tenantry().arg("man").arg(&pages).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    for page in ["tenantry.1", "tenantry-up.1", "tenantry-tenant-add.1"] {
        let text = fs::read_to_string(pages.join(page)).unwrap();
        assert!(text.starts_with(".ie"), "{page}: {text}");
        assert!(text.contains(".SH NAME"), "{page}: {text}");
    }
    // Where there is a formatter, it has nothing to complain about.
    let shown = Command::new("groff")
        .args(["-man", "-Tascii", "-ww", "-z"])
        .arg(pages.join("tenantry-up.1"))
        .output();
    if let Ok(shown) = shown {
        let complaints = String::from_utf8(shown.stderr).unwrap();
        assert_eq!(complaints, "");
    }
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let output = tenantry().arg("man").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

const PAGE: &str = "docs/ci.md";

#[test]
fn the_table_of_exit_codes_is_current() {
    const BEGIN: &str = "<!-- Made by a test from here on. -->\n";
    const END: &str = "<!-- Up to here. -->\n";
    let page = fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let made = format!("{before}{BEGIN}\n{}\n{END}{after}", exit_codes());
    write_or_compare(PAGE, &page, &made, page == made);
}

/// The codes as the source explains them.
fn exit_codes() -> String {
    let source = fs::read_to_string("src/cli/exit.rs").unwrap();
    let (_, body) = source.split_once("pub enum ExitCode {\n").unwrap();
    let (body, _) = body.split_once("\n}").unwrap();
    let lines: Vec<_> = body.lines().map(str::trim).collect();
    let rows = lines.chunks(2).map(|pair| {
        let meaning = pair[0].strip_prefix("/// ").unwrap();
        let (_, code) = pair[1].trim_end_matches(',').split_once(" = ").unwrap();
        format!("| {code} | {meaning} |\n")
    });
    let rows: Vec<_> = rows.collect();
    assert!(rows.len() > 10, "{rows:?}");
    format!("| code | means |\n|--:|---|\n{}", rows.concat())
}

/// The script of the page, as it stands there.
#[tokio::test]
async fn the_script_for_deployments_moves_the_fleet() {
    let shop = Shop::with(&["acme", "blue"]).await;
    shop.migration(
        2,
        "unique",
        "CREATE UNIQUE INDEX users_email ON users (email);\n",
        "DROP INDEX users_email;\n",
    );
    let page = fs::read_to_string(PAGE).unwrap();
    let (_, script) = page.split_once("```sh\n").unwrap();
    let (script, _) = script.split_once("```\n").unwrap();
    shop.write("deploy.sh", script);
    let run = || {
        let program = std::path::Path::new(env!("CARGO_BIN_EXE_tenantry"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(program.parent().unwrap().to_owned())
            .chain(std::env::split_paths(&path).collect::<Vec<_>>());
        let output = Command::new("sh")
            .args(["-u", "deploy.sh"])
            .current_dir(shop.path())
            .env("PATH", std::env::join_paths(path).unwrap())
            .env("TENANTRY__HOME__URL", &shop.database.url)
            .env_remove("TENANTRY_CONFIG")
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    shop.sql("insert into blue.users values ('ann'), ('ann')")
        .await;
    let (code, said) = run();
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("some tenants were left where they are"),
        "{said}"
    );
    shop.sql("truncate blue.users").await;
    let (code, said) = run();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("every tenant is up to date"), "{said}");
    let report = fs::read_to_string(shop.path().join("report.json")).unwrap();
    assert!(report.starts_with('{'), "{report}");
}
