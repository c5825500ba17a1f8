//! What makes the command at home on a machine: completions and the manual.

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

use crate::support::tenantry;

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
