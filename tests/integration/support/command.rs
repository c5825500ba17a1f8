use std::process::Command;

/// The program, without the settings of whoever runs the tests.
pub(crate) fn tenantry() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenantry"));
    for (name, _) in std::env::vars_os() {
        let is_ours = |name: &str| name.starts_with("TENANTRY__") || name == "TENANTRY_CONFIG";
        if name.to_str().is_some_and(is_ours) {
            command.env_remove(name);
        }
    }
    command
}
