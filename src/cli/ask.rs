//! Asking a person before something is done that cannot be undone.

use std::io::{self, BufRead as _, IsTerminal as _};

use super::{error::CliError, output::Output};

/// Asks whether to go on after `about` was said. True when the answer is yes.
///
/// # Errors
/// There is nobody to ask.
pub(super) fn go_on(output: &Output, about: &str) -> Result<bool, CliError> {
    let answer = answer(output, about, "Go on? [y/N]")?;
    let yes = matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes");
    Ok(heed(output, yes))
}

/// Asks for a name to be typed again after `about` was said. True when it was.
///
/// # Errors
/// There is nobody to ask.
pub(super) fn name_again(output: &Output, about: &str, name: &str) -> Result<bool, CliError> {
    let answer = answer(output, about, "Type its name to go on:")?;
    Ok(heed(output, answer == name))
}

/// Asks for a number of tenants to be typed after `about` was said. True when it was.
///
/// # Errors
/// There is nobody to ask.
pub(super) fn number_again(output: &Output, about: &str, number: usize) -> Result<bool, CliError> {
    let answer = answer(output, about, "Type how many tenants these are to go on:")?;
    Ok(heed(output, answer == number.to_string()))
}

fn answer(output: &Output, about: &str, question: &str) -> Result<String, CliError> {
    output.aside(about);
    if output.is_json() || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let message = "nobody can be asked here: say --yes when this is what you want";
        return Err(CliError::Usage(message.to_owned()));
    }
    output.say(question);
    let mut answer = String::new();
    // An input that ends or fails is no yes.
    let _ = io::stdin().lock().read_line(&mut answer);
    Ok(answer.trim().to_owned())
}

fn heed(output: &Output, yes: bool) -> bool {
    if !yes {
        output.say("Nothing was changed.");
    }
    yes
}
